//! Hangs up the plate by which a store is known again.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use matinee_core::replica::{BEFORE_PLATES, plate_of};
use rustix::fs::{MemfdFlags, memfd_create};

use super::port::{RemoteError, Store, Untold};

/// Puts the plate of a store under this key; `name` is for people who find it.
pub async fn hang(store: &dyn Store, key: &str, name: &str) -> Result<(), RemoteError> {
    let text = format!(
        "By this object matinee knows that this place is its store \"{name}\". Leave it here, and take it along when all is moved.\n"
    );
    let file = in_memory(text.as_bytes()).map_err(RemoteError::File)?;
    store.put(key, Arc::new(file), text.len() as u64, None, &Untold).await.map(drop)
}

/// The names of all plates that hang in a place, at most `limit`. A place that is away does not look like one that has none.
pub async fn hanging(store: &dyn Store, limit: usize) -> Result<Vec<String>, RemoteError> {
    let page = store.list(Some(BEFORE_PLATES), limit).await?;
    // Keys come in their order, and plates before all that follows them.
    Ok(page.objects.iter().map_while(|seen| plate_of(&seen.key)).map(str::to_owned).collect())
}

fn in_memory(bytes: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(memfd_create(c"matinee-plate", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use matinee_core::replica::plate_key;

    use super::*;
    use crate::store::contract::put;
    use crate::store::fake::{Fake, Inventory, Profile};
    use crate::store::{Disk, Memory, PATIENCE, S3};

    async fn hangs(store: &dyn Store) {
        // Before and behind it in the order of the keys.
        for key in ["aaa", "matinee-start/a", "vid_1/source/a"] {
            put(store, key, b"1").await;
        }
        assert!(hanging(store, 9).await.unwrap().is_empty());
        for identity in ["0a", "ff", "ff"] {
            hang(store, &plate_key(identity), "cellar").await.unwrap();
        }
        assert_eq!(hanging(store, 9).await.unwrap(), ["0a", "ff"]);
    }

    #[tokio::test]
    async fn plates_are_found_among_all_that_lies_there() {
        let folder = tempfile::tempdir().unwrap();
        hangs(&Memory::default()).await;
        hangs(&Disk::open(folder.path()).unwrap()).await;
        for profile in Profile::ALL {
            let fake = Fake::start(profile).await.unwrap();
            hangs(&S3::open(&fake.access(), "copies", None, PATIENCE).unwrap()).await;
            assert_eq!(fake.plates(), ["copies/matinee-store/0a", "copies/matinee-store/ff"]);
            assert_eq!(fake.inventory(), Inventory { objects: 3, bytes: 3, ..Inventory::default() });
        }
    }

    #[tokio::test]
    async fn a_place_that_is_away_has_no_plates_to_tell() {
        let folder = tempfile::tempdir().unwrap();
        let away = Disk::open(&folder.path().join("away")).unwrap();
        assert!(hanging(&away, 9).await.unwrap_err().is_again());
        assert!(hang(&away, &plate_key("0a"), "cellar").await.is_err());
        assert!(!folder.path().join("away").exists());
    }
}
