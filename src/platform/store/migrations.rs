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
const FILES: &[(&str, &str, &str)] = &files![
    "0001" "platform",
    "0002" "sign_in",
    "0003" "vault",
    "0004" "rooms",
    "0005" "deliveries",
    "0006" "builders",
    "0007" "both_apis",
    "0008" "managed_agents",
    "0009" "access",
    "0010" "clock",
    "0011" "room_secrets",
    "0012" "room_images",
];

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

    /// A database that has run a migration refuses a program in which the file is another one.
    #[test]
    fn a_published_file_never_changes() {
        let digests = MIGRATIONS
            .iter()
            .map(|one| one.checksum.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let known = [
            "4c55b2d8140d7671ae1f641b40a3af8ad8f0a97ece93230745eaa0b60af2a800ec2dac8e07aa68609b31215f9c5d9ac4",
            "db9067e604e106dc5206b4d9e5325127a5e4213daa514d007359ac9336524ed2d86050270b27869fc5ba489b1694e154",
            "395737dc59520d65687061e350ac07f8f3f1a9e0884472a4fe703d31fc61336cfd99b12ea9540c5abc4852abf3c3f276",
            "1ca4c8d99b50bf081c6d61aa71b1d107a48c0eef14c1154de69aadac6cbcf089bca0c79f5edaa9a5ca28b532fd28b096",
            "4f358c8f9418939425328696b247afa577459dbee2e2bb11961b00a6abd455bc116bdbe38b62d0fbb0488d92848cdebd",
            "1d6163d88de9640ab29bd0c9435c0caf68a79319e990bda57615acff0962fa3134e4ebfd1bd88f845625b9d28658eef1",
            "9530ee92122aa4f39bce81c71755305784ee885f608325ba79ad298a8a6d4619f3cda784d51f093d002a6097505fdb53",
            "211f06909215ecd477740c6d484c85d3b9bf213fbdd26e079a96f97b1095db8c8c0b27b04e67e14a31f7ebb8323b8575",
            "e780dd8a3c86249f9baebefea398dd7191b2bce016e3becd61a17ae26db5ac1b1a819d91b589b4db22268a32844d6fa8",
            "a60816d47330b26ae1312f28cb476f84fc960dc937db77fa2f18136edf9a20d39d51c26bdde5205d33dd08ddbc59a827",
            "f381889d074f71578840536228511dd8a57227d6368e2d8d57f635d37f979f91de9e0b12c87a96727bfa1862bb2af224",
            "aeb607fc1abed4eafecb6ff00e77b3ce302d509c61212782a0f69741bb8292bb32dfbf5976b1610c33fef64f8c79a353",
        ];
        assert_eq!(digests.collect::<Vec<_>>(), known);
    }
}
