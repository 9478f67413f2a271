//! *Pure*: which operations wait for which, by their positions; to bring them into an order, and
//! to start them.

/// What waits for what.
#[derive(Debug)]
pub struct Waits {
    /// The operations that wait for each, in their order.
    followers: Vec<Vec<usize>>,
    /// How many operations each still waits for.
    open: Vec<usize>,
}

impl Waits {
    /// Operations, each with the positions of those that it waits for. One that waits for a
    /// position that does not exist waits for ever.
    #[must_use]
    pub fn new(waits_for: &[Vec<usize>]) -> Self {
        let mut followers: Vec<Vec<usize>> = vec![Vec::new(); waits_for.len()];
        for (index, before) in waits_for.iter().enumerate() {
            for before in before {
                if let Some(followers) = followers.get_mut(*before) {
                    followers.push(index);
                }
            }
        }
        Self { followers, open: waits_for.iter().map(Vec::len).collect() }
    }

    /// Those that wait for nothing.
    pub fn free(&self) -> impl Iterator<Item = usize> {
        self.open.iter().enumerate().filter(|(_, open)| **open == 0).map(|(index, _)| index)
    }

    /// Those that wait for one, in their order.
    #[must_use]
    pub fn followers(&self, index: usize) -> &[usize] {
        &self.followers[index]
    }

    /// How many wait for each.
    pub fn counts(&self) -> impl Iterator<Item = usize> {
        self.followers.iter().map(Vec::len)
    }

    /// Records that an operation is done, which happens once. Returns those that wait for nothing
    /// more.
    pub fn settle(&mut self, index: usize) -> Vec<usize> {
        let mut free = Vec::new();
        for follower in &self.followers[index] {
            self.open[*follower] -= 1;
            if self.open[*follower] == 0 {
                free.push(*follower);
            }
        }
        free
    }
}
