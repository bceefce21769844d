//! A graph in a file. What is read is checked: every neighbour is a row, on a level that it is on.

use std::io::{Error, ErrorKind, Read, Result, Write};

use super::Graph;
use super::lists::{Lists, MAX_LEVEL, NONE};

const MAGIC: &[u8; 8] = b"TLGRAPH1";

impl Graph {
    /// Writes it.
    pub fn write(&self, to: &mut impl Write) -> Result<()> {
        to.write_all(MAGIC)?;
        for number in [self.lists.m as u32, self.len(), self.entry] {
            to.write_all(&number.to_le_bytes())?;
        }
        let levels: Vec<u8> = (0..self.len()).map(|row| self.lists.level(row) as u8).collect();
        to.write_all(&levels)?;
        let mut bytes = Vec::new();
        for row in 0..self.len() {
            bytes.clear();
            for level in 0..=self.lists.level(row) {
                let list = self.lists.of(row, level);
                bytes.extend_from_slice(&(list.count() as u16).to_le_bytes());
                self.lists.of(row, level).for_each(|to| bytes.extend_from_slice(&to.to_le_bytes()));
            }
            to.write_all(&bytes)?;
        }
        Ok(())
    }

    /// Reads the graph of so many rows. What is not as it was written is an error of the kind `InvalidData` or
    /// `UnexpectedEof`. Reads no further than the graph goes.
    pub fn read(from: &mut impl Read, rows: u32) -> Result<Self> {
        let mut magic = [0; 8];
        from.read_exact(&mut magic)?;
        let (m, count, entry) = (number(from)?, number(from)?, number(from)?);
        if magic != *MAGIC || !(2..=256).contains(&m) || count != rows || entry >= rows.max(1) {
            return Err(wrong("this is no graph of these rows"));
        }
        let mut levels = Vec::new();
        from.take(u64::from(rows)).read_to_end(&mut levels)?;
        if levels.len() != rows as usize {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let top = levels.iter().copied().max().unwrap_or(0);
        if u32::from(top) > MAX_LEVEL || levels.get(entry as usize).is_some_and(|&level| level != top) {
            return Err(wrong("a graph's levels are wrong"));
        }
        let lists = Lists::new(m as usize, levels.iter().map(|&level| u32::from(level)), || NONE);
        let mut graph = Self { lists, entry };
        for row in 0..rows {
            for level in 0..=u32::from(levels[row as usize]) {
                graph.read_list(from, row, level)?;
            }
        }
        Ok(graph)
    }

    fn read_list(&mut self, from: &mut impl Read, row: u32, level: u32) -> Result<()> {
        let mut count = [0; 2];
        from.read_exact(&mut count)?;
        let count = usize::from(u16::from_le_bytes(count));
        let mut bytes = [0; 4 * 512];
        let places = self.lists.places(row, level).len();
        if count > places {
            return Err(wrong("a list of a graph is too long"));
        }
        from.read_exact(&mut bytes[..4 * count])?;
        for (place, bytes) in bytes[..4 * count].chunks_exact(4).enumerate() {
            let to = number(&mut &bytes[..])?;
            if to >= self.len() || self.lists.level(to) < level {
                return Err(wrong("a graph names a row that is not there"));
            }
            self.lists.place(row, level)[place] = to;
        }
        Ok(())
    }
}

fn number(from: &mut impl Read) -> Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn wrong(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}
