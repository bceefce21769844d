//! Files that are whole or not there: written aside, ended with their length and checksum, synced, renamed.
//!
//! The end of a file is 20 bytes: what kind of file (4), the length of what is before (8), its crc32 (4), and again
//! four bytes that no text ends with, so that a cut file is told from a short one.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
};

const LAST: [u8; 4] = [0x54, 0x4c, 0x00, 0xff];
const END: u64 = 20;

/// Why something on disk cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// It is torn, altered or missing: what is there is worth nothing, and can be made again.
    #[error("{path}: {why}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The machine refused. The file may well be whole.
    #[error("{path}: {why}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        why: io::Error,
    },
}

impl Unread {
    /// A file that is not what it should be.
    pub fn damaged(path: &Path, why: impl ToString) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.to_string() }
    }

    /// An error of reading: what is cut, missing or unreadable as data is damage, the rest is the machine's.
    pub fn from_io(path: &Path, why: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match why.kind() {
            Kind::NotFound
            | Kind::UnexpectedEof
            | Kind::InvalidData
            | Kind::InvalidInput
            | Kind::IsADirectory
            | Kind::NotADirectory => Self::damaged(path, why),
            _ => Self::Io { path: path.to_owned(), why },
        }
    }
}

/// Writes a file aside; [`Writer::finish`] brings it under its name.
pub struct Writer {
    inner: BufWriter<File>,
    crc: crc32fast::Hasher,
    length: u64,
    aside: PathBuf,
    path: PathBuf,
}

impl Writer {
    /// Begins a file that will be at `path`.
    ///
    /// # Errors
    /// What the machine says.
    pub fn new(path: &Path) -> io::Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = path.with_file_name(format!("tmp-{name}"));
        let inner = BufWriter::with_capacity(1 << 18, File::create(&aside)?);
        Ok(Self { inner, crc: crc32fast::Hasher::new(), length: 0, aside, path: path.to_owned() })
    }

    /// Ends the file, syncs it, and renames it. The folder's own sync is the caller's: several files want one.
    ///
    /// # Errors
    /// What the machine says; then nothing is under the name that was not before.
    pub fn finish(mut self, kind: [u8; 4]) -> io::Result<u64> {
        self.inner.write_all(&kind)?;
        self.inner.write_all(&self.length.to_le_bytes())?;
        self.crc.update(&kind);
        self.inner.write_all(&self.crc.finalize().to_le_bytes())?;
        self.inner.write_all(&LAST)?;
        let file = self.inner.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&self.aside, &self.path)?;
        Ok(self.length)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.crc.update(bytes.get(..written).unwrap_or_default());
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What is in a file whose end and checksum are right.
pub struct Checked {
    file: File,
    length: u64,
}

impl Checked {
    /// Reads the whole file once and compares.
    ///
    /// # Errors
    /// When it is no whole file of this kind, or the machine refuses.
    pub fn open(path: &Path, kind: [u8; 4]) -> Result<Self, Unread> {
        let io = |why| Unread::from_io(path, why);
        let mut file = File::open(path).map_err(io)?;
        let total = file.metadata().map_err(io)?.len();
        let length = total.checked_sub(END).ok_or_else(|| Unread::damaged(path, "it is cut"))?;
        let mut crc = crc32fast::Hasher::new();
        let mut left = length;
        let mut buffer = vec![0; 1 << 18];
        while left > 0 {
            let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let piece = buffer.get_mut(..wanted).unwrap_or_default();
            file.read_exact(piece).map_err(io)?;
            crc.update(piece);
            left -= wanted as u64;
        }
        let mut end = [0; END as usize];
        file.read_exact(&mut end).map_err(io)?;
        crc.update(&kind);
        let whole = [kind.as_slice(), &length.to_le_bytes(), &crc.finalize().to_le_bytes(), &LAST].concat();
        if whole != end {
            return Err(Unread::damaged(path, "its checksum or its end is wrong"));
        }
        Ok(Self { file, length })
    }

    /// Bytes of content.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The content, from its beginning.
    ///
    /// # Errors
    /// What the machine says.
    pub fn read(&self) -> io::Result<io::Take<BufReader<&File>>> {
        let mut file = &self.file;
        file.rewind()?;
        Ok(BufReader::with_capacity(1 << 18, file).take(self.length))
    }

    /// The file, to read at places.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }
}

/// Syncs a folder, so that the names in it survive.
///
/// # Errors
/// What the machine says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes a file or a folder with all in it; none there is as well.
///
/// # Errors
/// What the machine says.
pub fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(what) if what.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(why) => Err(why),
    };
    match removed {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KIND: [u8; 4] = *b"test";

    fn written(folder: &Path, content: &[u8]) -> PathBuf {
        let path = folder.join("file");
        let mut writer = Writer::new(&path).unwrap();
        writer.write_all(content).unwrap();
        assert_eq!(writer.finish(KIND).unwrap(), content.len() as u64);
        path
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for content in [vec![], vec![7; 5], vec![3; 600_000]] {
            let checked = Checked::open(&written(folder.path(), &content), KIND).unwrap();
            let mut read = Vec::new();
            checked.read().unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, content);
        }
        assert!(Checked::open(&folder.path().join("file"), *b"else").is_err());
        assert!(matches!(Checked::open(&folder.path().join("none"), KIND), Err(Unread::Damaged { .. })));
        assert!(!folder.path().join("tmp-file").exists());
    }

    proptest! {
        #[test]
        fn damage_is_seen(content in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..220, bit in 0..8, cut: bool) {
            let folder = tempfile::tempdir().unwrap();
            let path = written(folder.path(), &content);
            let mut bytes = fs::read(&path).unwrap();
            let at = at % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] ^= 1_u8 << bit }
            fs::write(&path, bytes).unwrap();
            let damaged = matches!(Checked::open(&path, KIND), Err(Unread::Damaged { .. }));
            prop_assert!(damaged);
        }
    }
}
