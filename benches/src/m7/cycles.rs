//! Modelled cycles: how often each block of a run is executed, counted by a plugin of QEMU, times what llvm-mca's model
//! of the Cortex-M7 gives for a turn of that block. A model, not a measurement: a block is taken as if it followed
//! itself, branches are never mispredicted, and memory answers at once.
use super::{M7Error, firmware::start};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

const LLVM: &str = "Debian's llvm (22; LLVM_SUFFIX names another version's suffix)";
const BINUTILS: &str = "Debian's binutils-arm-none-eabi";
const TURNS: u64 = 100;

/// The plugin, and what it needs to know of a program.
pub(super) struct Blocks {
    library: PathBuf,
    mark: String,
    elf: PathBuf,
    /// Cycles of a turn in hundredths, of each block that was met.
    cycles: BTreeMap<Block, u64>,
}

/// Where a block begins, and how many instructions it has.
type Block = (u64, usize);
/// How often each block ran.
type Run = Vec<(Block, u64)>;

impl Blocks {
    /// Builds the plugin, for a program that has marks.
    pub(super) fn new(elf: PathBuf) -> Result<Blocks, M7Error> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("m7");
        let target = folder.join("target").join("blocks");
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--quiet", "--target-dir"]).arg(&target).current_dir(folder.join("blocks"));
        let output = start(&mut cargo, "cargo", "a Rust toolchain")?;
        if !output.status.success() {
            return Err(M7Error::Build(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let symbols = text(Command::new("arm-none-eabi-nm").arg(&elf), "arm-none-eabi-nm", BINUTILS)?;
        let mark = symbols.lines().find_map(|line| line.strip_suffix(" T nested_m7_mark"));
        let mark = mark.ok_or_else(|| wrong(&elf, "no symbol nested_m7_mark".to_owned()))?.to_owned();
        let library = target.join("release").join("libnested_m7_blocks.so");
        Ok(Blocks { library, mark, elf, cycles: BTreeMap::new() })
    }

    /// The argument that has QEMU load the plugin, which then writes to `out`.
    pub(super) fn argument(&self, out: &Path) -> String {
        format!("{},out={},mark={}", self.library.display(), out.display(), self.mark)
    }

    /// The modelled cycles of each run between two marks, from the plugin's file.
    pub(super) fn cycles(&mut self, out: &Path) -> Result<Vec<u64>, M7Error> {
        let listing = fs::read_to_string(out).map_err(|error| wrong(out, error.to_string()))?;
        let runs = runs(&listing).ok_or_else(|| wrong(out, "not as the plugin writes it".to_owned()))?;
        self.model(runs.iter().flatten().map(|(block, _)| *block).collect())?;
        let of_run = |run: &Run| run.iter().map(|(block, times)| times * self.cycles[block]).sum::<u64>() / TURNS;
        Ok(runs.iter().map(of_run).collect())
    }

    /// Finds the cycles of blocks that were not met before.
    fn model(&mut self, mut blocks: BTreeSet<Block>) -> Result<(), M7Error> {
        blocks.retain(|block| !self.cycles.contains_key(block));
        if blocks.is_empty() {
            return Ok(());
        }
        let code = text(llvm("llvm-objdump").args(["-d", "--no-show-raw-insn"]).arg(&self.elf), "llvm-objdump", LLVM)?;
        let source = self.elf.with_extension("blocks.s");
        let written = assembly(&instructions(&code), &blocks);
        fs::write(&source, written).map_err(|error| wrong(&source, error.to_string()))?;
        let mut mca = llvm("llvm-mca");
        mca.args(["-mtriple=thumbv7em-none-eabihf", "-mcpu=cortex-m7", "-json", "-instruction-info=false"]);
        mca.args([&format!("-iterations={TURNS}"), "-skip-unsupported-instructions=any"]).arg(&source);
        let report = text(&mut mca, "llvm-mca", LLVM)?;
        fs::remove_file(&source).map_err(|error| wrong(&source, error.to_string()))?;
        let report: Report = serde_json::from_str(&report).map_err(|error| wrong(&source, error.to_string()))?;
        for region in report.regions {
            self.cycles.insert(region_block(&region.name), region.summary.cycles);
        }
        match blocks.iter().find(|block| !self.cycles.contains_key(block)) {
            Some((address, _)) => Err(wrong(&self.elf, format!("llvm-mca says nothing of the block at {address:#x}"))),
            None => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct Report {
    #[serde(rename = "CodeRegions")]
    regions: Vec<Region>,
}

#[derive(Deserialize)]
struct Region {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "SummaryView")]
    summary: Summary,
}

#[derive(Deserialize)]
struct Summary {
    /// Of all turns.
    #[serde(rename = "TotalCycles")]
    cycles: u64,
}

fn wrong(path: &Path, problem: String) -> M7Error {
    M7Error::File { path: path.to_owned(), problem }
}

fn llvm(program: &str) -> Command {
    let suffix = std::env::var("LLVM_SUFFIX").unwrap_or_else(|_| "-22".to_owned());
    Command::new(format!("{program}{suffix}"))
}

fn text(command: &mut Command, program: &'static str, remedy: &'static str) -> Result<String, M7Error> {
    let output = start(command, program, remedy)?;
    if !output.status.success() {
        let problem = String::from_utf8_lossy(&output.stderr).lines().take(3).collect::<Vec<_>>().join("; ");
        let source = io::Error::other(problem);
        return Err(M7Error::Missing { program, remedy, source });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What ran between the first mark and the second, the third and the fourth, and so on. A mark's line comes before what
/// ran up to it.
fn runs(listing: &str) -> Option<Vec<Run>> {
    let intervals = listing.split("mark\n").skip(1);
    let block = |line: &str| {
        let mut fields = line.split(' ');
        let address = u64::from_str_radix(fields.next()?, 16).ok()?;
        Some(((address, fields.next()?.parse().ok()?), fields.next()?.parse().ok()?))
    };
    intervals.skip(1).step_by(2).map(|interval| interval.lines().map(block).collect()).collect()
}

/// Address and text of each instruction in a listing by llvm-objdump.
fn instructions(code: &str) -> Vec<(u64, &str)> {
    let instruction = |line| {
        let (address, text): (&str, &str) = str::split_once(line, ':')?;
        Some((u64::from_str_radix(address.trim(), 16).ok()?, text.trim()))
    };
    code.lines().filter_map(instruction).collect()
}

/// The blocks as regions for llvm-mca. QEMU ends a block at the end of a page, too, in the middle of what an `it` makes
/// conditional: each region gets an `it` of its own for what it has of that.
fn assembly(code: &[(u64, &str)], blocks: &BTreeSet<Block>) -> String {
    let index: HashMap<u64, usize> = code.iter().enumerate().map(|(index, (address, _))| (*address, index)).collect();
    let conditions = conditions(code);
    let mut source = String::new();
    for &(address, length) in blocks {
        let first = index.get(&address).copied().unwrap_or(code.len());
        let end = code.len().min(first + length);
        let _ = writeln!(source, "# LLVM-MCA-BEGIN b{address:x}_{length}");
        let mut place = first;
        while place < end {
            let text = code[place].1;
            let conditional =
                conditions[place..end].iter().map_while(|condition| *condition).take(4).collect::<Vec<_>>();
            if let Some(condition) = conditional.first() {
                let then = conditional[1..].iter().map(|other| if other == condition { 't' } else { 'e' });
                let _ = writeln!(source, "it{}\t{condition}", then.collect::<String>());
            } else if is_it(text) {
                // Its instructions follow, with the line above; or in another block.
                if place + 1 == end {
                    let _ = writeln!(source, "nop");
                }
                place += 1;
                continue;
            }
            for (_, instruction) in &code[place..end.min(place + conditional.len().max(1))] {
                let _ = writeln!(source, "{}", for_mca(instruction));
            }
            place += conditional.len().max(1);
        }
        let _ = writeln!(source, "# LLVM-MCA-END");
    }
    source
}

fn is_it(instruction: &str) -> bool {
    let name = instruction.split_whitespace().next().unwrap_or_default();
    name.strip_prefix("it").is_some_and(|rest| rest.len() < 4 && rest.chars().all(|letter| "te".contains(letter)))
}

/// Under which condition each instruction runs, where an `it` before it says so.
fn conditions<'c>(code: &[(u64, &'c str)]) -> Vec<Option<&'c str>> {
    const OPPOSITES: [[&str; 2]; 7] =
        [["eq", "ne"], ["hs", "lo"], ["mi", "pl"], ["vs", "vc"], ["hi", "ls"], ["ge", "lt"], ["gt", "le"]];
    let mut found = vec![None; code.len()];
    for (place, (_, text)) in code.iter().enumerate().filter(|(_, (_, text))| is_it(text)) {
        let mut words = text.split_whitespace();
        let (name, condition) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let pair = OPPOSITES.iter().find(|pair| pair.contains(&condition));
        let opposite = pair.map_or(condition, |pair| if pair[0] == condition { pair[1] } else { pair[0] });
        for (slot, letter) in found.iter_mut().skip(place + 1).zip(name.chars().skip(1)) {
            *slot = Some(if letter == 't' { condition } else { opposite });
        }
    }
    found
}

/// An instruction with a name in place of a place in the code, and a branch in place of a call, for which llvm-mca would
/// add the call's own work.
fn for_mca(instruction: &str) -> String {
    let instruction = instruction.split('@').next().unwrap_or_default().trim();
    match (instruction.strip_prefix("bl\t"), instruction.split_once(" <")) {
        (Some(_), _) => "b.w\ttarget".to_owned(),
        (None, Some((start, _))) => {
            let end = start.rfind([' ', '\t']).map_or(0, |at| at + 1);
            format!("{}target", &start[..end])
        }
        (None, None) => instruction.to_owned(),
    }
}

/// The block that a region is named after.
fn region_block(name: &str) -> Block {
    let parts = name.strip_prefix('b').and_then(|name| name.split_once('_'));
    let (address, length) = parts.unwrap_or_default();
    (u64::from_str_radix(address, 16).unwrap_or(0), length.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_what_lies_between_pairs_of_marks() {
        let listing = "mark\n100 2 7\nmark\n100 2 3\n200 1 4\nmark\n300 1 1\nmark\n100 2 5\n";
        let expected = vec![vec![((0x100, 2), 3), ((0x200, 1), 4)], vec![((0x100, 2), 5)]];
        assert_eq!(runs(listing), Some(expected));
        assert_eq!(runs("mark\nmark\nnoise"), None);
    }

    #[test]
    fn blocks_are_cut_out_of_a_listing() {
        let code = "00000100 <f>:\n     100:      \tcbz\tr0, 0x10a <f+0xa> @ imm = #0x6\n     102:      \tbl\t0x200 <g> @ imm = #1\n     106:      \tldr\tr1, [pc, #0x4] @ 0x10c <f+0xc>\n";
        let source = assembly(&instructions(code), &BTreeSet::from([(0x100, 2), (0x106, 1)]));
        let expected = "# LLVM-MCA-BEGIN b100_2\ncbz\tr0, target\nb.w\ttarget\n# LLVM-MCA-END\n\
            # LLVM-MCA-BEGIN b106_1\nldr\tr1, [pc, #0x4]\n# LLVM-MCA-END\n";
        assert_eq!(source, expected);
        assert_eq!(region_block("b106_1"), (0x106, 1));
    }

    #[test]
    fn what_is_conditional_stays_so_in_part() {
        let code = "0: \tcmp\tr1, #0x6\n2: \titte\ths\n4: \tmovhs\tr4, r6\n6: \tsubhs\tr5, r1, #0x6\na: \tmovlo\tr5, r4\nc: \tadd\tr1, r2\n";
        let region = |block| {
            let source = assembly(&instructions(code), &BTreeSet::from([block]));
            source.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
        };
        let whole =
            ["cmp\tr1, #0x6", "itte\ths", "movhs\tr4, r6", "subhs\tr5, r1, #0x6", "movlo\tr5, r4", "add\tr1, r2"];
        assert_eq!(region((0, 6)), whole);
        assert_eq!(region((0, 2)), ["cmp\tr1, #0x6", "nop"]);
        assert_eq!(region((0, 3)), ["cmp\tr1, #0x6", "it\ths", "movhs\tr4, r6"]);
        assert_eq!(region((6, 3)), ["ite\ths", "subhs\tr5, r1, #0x6", "movlo\tr5, r4", "add\tr1, r2"]);
    }
}
