//! Many images at once, on the threads of a rayon pool.
use crate::{KernelError, Network, geometry::check_length};
use nested_csr::Level;
use rayon::prelude::*;

impl<B: AsRef<[u8]> + Sync> Network<B> {
    /// Runs `images`, one behind the other, at `level`, and writes their `outputs` in the same order.
    ///
    /// The threads of the rayon pool that the call is made in share the images; each needs a part of `arena` of its own, so
    /// that at most `arena.len() / arena_len` of them work, and `threads · preferred_arena_len` bytes make them all as fast as
    /// they can be (see [`Network::arena_len`] and [`Network::preferred_arena_len`]). The outputs are those of
    /// [`Network::run`], whatever the number of threads.
    ///
    /// # Errors
    /// Before the first image runs: [`KernelError::NoSuchLevel`]; [`KernelError::InputLength`] when the images are not
    /// whole, [`KernelError::OutputLength`] when there are not as many outputs; [`KernelError::ArenaTooShort`].
    ///
    /// ```
    /// use nested_csr::{Level, ModelBuilder, Profile, Quantization, TensorShape, Window};
    /// use nested_kernels::Network;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let image = TensorShape { channels: 1, height: 1, width: 2 };
    /// # let mut builder = ModelBuilder::new(Level::FIRST, image, Quantization { scale: 0.1, zero_point: 0 })?;
    /// # let (input, window) = (builder.input(), Window { kernel: [1, 2], ..Window::square(1, 1, 0) });
    /// # builder.max_pool("", input, window)?;
    /// # let model = builder.finish(Profile::Size)?;
    /// let network = Network::new(model)?; // the greater of two pixels
    /// let mut arena = vec![0; 2 * network.preferred_arena_len(Level::FIRST)?]; // for two threads
    /// let mut outputs = [0; 3];
    /// network.run_batch(Level::FIRST, &[1, 2, 4, 3, 5, 6], &mut arena, &mut outputs)?;
    /// assert_eq!(outputs, [2, 4, 6]);
    /// # Ok(()) }
    /// ```
    pub fn run_batch(
        &self,
        level: Level,
        images: &[i8],
        arena: &mut [u8],
        outputs: &mut [i8],
    ) -> Result<(), KernelError> {
        let (image, output) = (self.model().input_shape().len(), self.model().output_shape().len());
        let count = images.len() / image.max(1);
        check_length(count * image, images.len(), |needed, given| KernelError::InputLength { needed, given })?;
        check_length(count * output, outputs.len(), |needed, given| KernelError::OutputLength { needed, given })?;
        let needed = self.arena_len(level)?;
        let parts = (arena.len() / needed.max(1)).min(rayon::current_num_threads());
        if parts == 0 {
            return Err(KernelError::ArenaTooShort { needed, given: arena.len() });
        }
        let share = count.div_ceil(parts).max(1);
        let arenas = arena.par_chunks_exact_mut(arena.len() / parts);
        let shares = images.par_chunks(share * image).zip(outputs.par_chunks_mut(share * output));
        shares.zip(arenas).try_for_each(|((images, outputs), arena)| {
            let mut pairs = images.chunks_exact(image).zip(outputs.chunks_exact_mut(output));
            pairs.try_for_each(|(image, output)| self.run(level, image, arena, output))
        })
    }
}
