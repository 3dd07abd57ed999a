//! A counter that a restored disk does not turn back unnoticed.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What a counter says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counted {
    /// It was set to this last.
    Number(u64),
    /// There is none.
    Missing,
    /// It was copied here, or is damaged.
    Foreign,
}

/// Counts outside what a backup restores.
pub trait Counter: fmt::Debug + Send + Sync {
    /// What it says. Blocks.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self) -> io::Result<Counted>;

    /// Sets it, durably. Blocks.
    ///
    /// # Errors
    /// It cannot be set, or is not durable.
    fn set(&self, number: u64) -> io::Result<()>;
}

/// A counter in a file that a copy does not pass for.
///
/// Beside it lies when the file was last changed by the kernel's account (`st_ctime`), which no program can set: whoever
/// puts an earlier copy in its place, or writes it over the file, changes that. An image of the whole disk that is put
/// back is not noticed: only a counter in a TPM would notice that. Hard links to the file, as some backups make them,
/// change it too, and lead to a false alarm.
#[derive(Clone, Debug)]
pub struct FileCounter {
    path: PathBuf,
    seal: PathBuf,
}

/// `number check`, or `number when check`, each as hexadecimal digits: one sector, written in place.
const FILE_BYTES_MAX: u64 = 128;

impl FileCounter {
    /// A counter in this file, whose folder is there; its seal lies beside it, with `.seal` at the end.
    pub fn new(path: PathBuf) -> Self {
        let mut seal = path.clone().into_os_string();
        seal.push(".seal");
        Self { path, seal: seal.into() }
    }

    /// What both files say; a power cut while they were written leaves a seal that names the number to come and when the
    /// file was changed before.
    fn compare(&self) -> io::Result<Counted> {
        let (Some((number, changed)), Some((seal, _))) = (read(&self.path)?, read(&self.seal)?) else {
            return Ok(Counted::Foreign);
        };
        let [number] = number.as_slice() else { return Ok(Counted::Foreign) };
        let believed = match seal.as_slice() {
            [sealed, when] => sealed == number && *when == changed,
            // Cut off before the file was written, or after: a copy made in that moment is not told from it.
            [from, to, when] => (from == number && *when == changed) || to == number,
            _ => false,
        };
        let number = u64::try_from(*number).unwrap_or_default();
        Ok(if believed { Counted::Number(number) } else { Counted::Foreign })
    }
}

impl Counter for FileCounter {
    fn read(&self) -> io::Result<Counted> {
        let there = [self.path.try_exists()?, self.seal.try_exists()?];
        if there == [false, false] {
            return Ok(Counted::Missing);
        }
        self.compare()
    }

    fn set(&self, number: u64) -> io::Result<()> {
        let to = u128::from(number);
        // The very first number follows nothing: cut off there, it is foreign, and nothing was sold yet.
        if let Some((before, changed)) = read(&self.path).ok().flatten()
            && let [from] = before.as_slice()
        {
            write(&self.seal, &[*from, to, changed])?;
        }
        let changed = write(&self.path, &[to])?;
        write(&self.seal, &[to, changed])?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// The numbers in a file, and when it was changed, in nanoseconds since 1970; none if it is damaged.
fn read(path: &Path) -> io::Result<Option<(Vec<u128>, u128)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let changed = changed(&file)?;
    let mut text = String::new();
    if file.take(FILE_BYTES_MAX).read_to_string(&mut text).is_err() {
        return Ok(None);
    }
    let numbers: Result<Vec<u128>, _> =
        text.split_ascii_whitespace().map(|word| u128::from_str_radix(word, 16)).collect();
    let Ok(mut numbers) = numbers else { return Ok(None) };
    let check = numbers.pop();
    Ok((check == Some(check_of(&numbers))).then_some((numbers, changed)))
}

/// Writes numbers into a file, durably; returns when it was changed by it.
fn write(path: &Path, numbers: &[u128]) -> io::Result<u128> {
    let mut text = String::new();
    for number in numbers.iter().chain(&[check_of(numbers)]) {
        text.push_str(&format!("{number:x} "));
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)?;
    file.sync_all()?;
    changed(&file)
}

fn changed(file: &File) -> io::Result<u128> {
    let metadata = file.metadata()?;
    let (seconds, nanoseconds) = (metadata.ctime(), metadata.ctime_nsec());
    Ok(u128::try_from(seconds).unwrap_or_default() * 1_000_000_000
        + u128::try_from(nanoseconds).unwrap_or_default())
}

/// Against damage, not against people.
fn check_of(numbers: &[u128]) -> u128 {
    numbers.iter().fold(0x706f_6c79_6761_7465, |check: u128, number| check.rotate_left(31) ^ number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(name: &str) -> (PathBuf, FileCounter) {
        let folder = std::env::temp_dir().join(format!("polygate-counter-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("state")).unwrap();
        let counter = FileCounter::new(folder.join("state/counter"));
        (folder, counter)
    }

    #[test]
    fn it_says_what_it_was_set_to_and_damage_is_recognised() {
        let (folder, counter) = bench("plain");
        assert_eq!(counter.read().unwrap(), Counted::Missing);
        for number in [0, 1, 7, u64::MAX, 3] {
            counter.set(number).unwrap();
            assert_eq!(counter.read().unwrap(), Counted::Number(number));
        }
        std::fs::write(folder.join("state/counter"), "0000").unwrap();
        assert_eq!(counter.read().unwrap(), Counted::Foreign);
        std::fs::remove_file(folder.join("state/counter")).unwrap();
        assert_eq!(counter.read().unwrap(), Counted::Foreign, "its seal is there");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn an_earlier_copy_is_recognised_whichever_way_it_is_put_back() {
        let (folder, counter) = bench("restored");
        let run = |script: &str| {
            let ran = std::process::Command::new("sh").arg("-ec").arg(script).current_dir(&folder).status();
            assert!(ran.unwrap().success(), "{script}");
        };
        for script in [
            "cp -a kept/state/. state/",
            "rm -rf state; cp -a kept/state state",
            "tar -C kept -cf kept.tar state; rm -rf state; tar -xf kept.tar",
            "cat kept/state/counter > state/counter; cat kept/state/counter.seal > state/counter.seal",
            "rm -rf state; mv kept/state state",
        ] {
            counter.set(3).unwrap();
            run("rm -rf kept; mkdir kept; cp -a state kept/");
            counter.set(9).unwrap();
            run(script);
            assert_eq!(counter.read().unwrap(), Counted::Foreign, "{script}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_power_cut_while_it_is_set_leaves_the_one_number_or_the_other() {
        let (folder, counter) = bench("cut");
        counter.set(3).unwrap();
        let (_, changed) = read(&counter.path).unwrap().unwrap();
        write(&counter.seal, &[3, 4, changed]).unwrap();
        assert_eq!(counter.read().unwrap(), Counted::Number(3));
        write(&counter.path, &[4]).unwrap();
        assert_eq!(counter.read().unwrap(), Counted::Number(4));
        counter.set(5).unwrap();
        assert_eq!(counter.read().unwrap(), Counted::Number(5));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
