//! How the tables came to be: the files of `migrations/`, each of which runs once.

use std::borrow::Cow;
use std::sync::LazyLock;

use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// The files, each with its number and what it brings.
macro_rules! files {
    ($($number:literal $name:literal),* $(,)?) => {
        [$((
            $number,
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $number, "_", $name, ".sql")),
        )),*]
    };
}

/// One that was published is never changed: databases remember its digest.
const FILES: &[(&str, &str, &str)] = &files!["0001" "platform", "0002" "sign_in", "0003" "vault"];

/// All migrations, in order.
pub static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let migrations = FILES.iter().map(|(number, name, sql)| {
        let number = number.parse().expect("digits");
        let name = Cow::Owned(name.replace('_', " "));
        Migration::new(number, name, MigrationType::Simple, SqlStr::from_static(sql), false)
    });
    Migrator::with_migrations(migrations.collect())
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_listed() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap();
        let mut there: Vec<String> =
            folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        there.sort();
        let listed: Vec<String> =
            FILES.iter().map(|(number, name, _)| format!("{number}_{name}.sql")).collect();
        assert_eq!(there, listed);
    }
}
