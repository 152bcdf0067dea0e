//! Tables for people: Markdown, so that what a command prints can be pasted into a document as it is.
use std::fmt;

/// A table; the first column is aligned to the left, the others to the right.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new<S: Into<String>>(headings: impl IntoIterator<Item = S>) -> Table {
        Table { rows: vec![headings.into_iter().map(Into::into).collect()] }
    }

    /// Adds a row; cells beyond the headings are left out, missing ones are empty.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).collect();
        row.resize(self.rows[0].len(), String::new());
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = |column: usize| self.rows.iter().map(move |row| row[column].chars().count()).max().unwrap_or(0);
        // A Markdown rule has at least three dashes.
        let widths: Vec<usize> = (0..self.rows[0].len()).map(|index| column(index).max(3)).collect();
        for (number, row) in self.rows.iter().enumerate() {
            for (index, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if index == 0 { write!(f, "| {cell:<width$} |")? } else { write!(f, " {cell:>width$} |")? }
            }
            writeln!(f)?;
            if number == 0 {
                for (index, &width) in widths.iter().enumerate() {
                    if index == 0 { write!(f, "|-{:-<width$}-|", "")? } else { write!(f, "-{:-<width$}:|", "")? }
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

/// A whole number with its thousands apart: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["level", "bytes"]);
        table.row(["1", "1,234,567"]);
        table.row(["dense"]);
        let expected = "\
| level |     bytes |
|-------|----------:|
| 1     | 1,234,567 |
| dense |           |
";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
