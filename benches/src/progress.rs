//! How far a training is: a bar where somebody watches, one line an epoch elsewhere.
use indicatif::{ProgressBar, ProgressStyle};
use std::{io::IsTerminal, time::Duration};

/// The progress of one training.
pub struct Progress {
    bar: ProgressBar,
    name: String,
    epochs: usize,
    images: usize,
    watched: bool,
}

impl Progress {
    /// Of a training of `epochs` epochs with `images` images each, of which `done` epochs are behind.
    pub fn new(name: &str, epochs: usize, images: usize, done: usize) -> Progress {
        let bar = ProgressBar::new((epochs * images) as u64);
        let style = ProgressStyle::with_template("{prefix:7} [{bar:32}] {msg} · {per_sec} · {eta} left")
            .expect("a template that does not depend on input")
            .with_key("per_sec", |state: &indicatif::ProgressState, text: &mut dyn std::fmt::Write| {
                // A bar that cannot be written is not worth a failed training.
                let _ = write!(text, "{:.0} images/s", state.per_sec());
            })
            .progress_chars("=> ");
        bar.set_style(style);
        bar.set_prefix(name.to_owned());
        bar.set_position((done * images) as u64);
        bar.reset_eta();
        Progress { bar, name: name.to_owned(), epochs, images, watched: std::io::stderr().is_terminal() }
    }

    /// During the epoch after `done` whole ones.
    pub fn step(&self, done: usize, images: usize, loss: f64) {
        self.bar.set_message(format!("epoch {}/{}, loss {loss:.3}", done + 1, self.epochs));
        self.bar.set_position((done * self.images + images) as u64);
    }

    /// At the end of an epoch.
    pub fn epoch(&self, done: usize, loss: f64, took: Duration) {
        if !self.watched {
            let rate = self.images as f64 / took.as_secs_f64();
            eprintln!("{} epoch {done}/{}: loss {loss:.3}, {rate:.0} images/s", self.name, self.epochs);
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
