//! Painting on a grey canvas.
use image::GrayImage;
use rand::{Rng, RngExt};

/// A square grey image.
pub struct Canvas {
    side: usize,
    pixels: Vec<f32>,
}

impl Canvas {
    /// A canvas whose brightness changes evenly in a random direction, with noise.
    pub fn gradient(side: usize, random: &mut impl Rng) -> Canvas {
        const BRIGHTEST: f32 = 90.0;
        const NOISIEST: f32 = 14.0;
        let corners: [f32; 3] = std::array::from_fn(|_| random.random_range(0.0..BRIGHTEST));
        let noise = random.random_range(0.0..NOISIEST);
        let mut pixel = |at: usize| {
            let (y, x) = ((at / side) as f32 / side as f32, (at % side) as f32 / side as f32);
            let even = corners[0] + y * (corners[1] - corners[0]) + x * (corners[2] - corners[0]);
            even.clamp(0.0, BRIGHTEST) + noise * random.random_range(-1.0..1.0f32)
        };
        Canvas { side, pixels: (0..side * side).map(&mut pixel).collect() }
    }

    /// Pixels of a side.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Mixes `value` into a pixel, `opacity` of it; pixels beyond the canvas are nowhere.
    pub fn mix(&mut self, y: isize, x: isize, value: f32, opacity: f32) {
        let inside = |at: isize| usize::try_from(at).ok().filter(|&at| at < self.side);
        if let (Some(y), Some(x)) = (inside(y), inside(x)) {
            let pixel = &mut self.pixels[y * self.side + x];
            *pixel += opacity * (value - *pixel);
        }
    }

    /// A rectangle, an ellipse or a line somewhere, of any brightness.
    pub fn shape(&mut self, random: &mut impl Rng) {
        let side = self.side as f32;
        let mut length = || random.random_range(0.03..0.35f32) * side;
        let (height, width) = (length(), length());
        let [y, x] = std::array::from_fn(|_| random.random_range(0.0..side));
        let (value, opacity) = (random.random_range(10.0..200.0f32), random.random_range(0.25..0.9f32));
        let kind = random.random_range(0..3u8);
        let falling = random.random::<bool>();
        for row in (y - height / 2.0) as isize..=(y + height / 2.0) as isize {
            for column in (x - width / 2.0) as isize..=(x + width / 2.0) as isize {
                // From −1 to 1 over the shape.
                let v = (row as f32 + 0.5 - y) / (height / 2.0);
                let u = (column as f32 + 0.5 - x) / (width / 2.0);
                let inside = match kind {
                    0 => true,
                    1 => u * u + v * v <= 1.0,
                    _ => (if falling { u - v } else { u + v }).abs() * height.min(width) <= 2.0,
                };
                if inside {
                    self.mix(row, column, value, opacity);
                }
            }
        }
    }

    /// The image, its pixels rounded.
    pub fn into_image(self) -> GrayImage {
        let pixel = |x: u32, y: u32| self.pixels[y as usize * self.side + x as usize].round().clamp(0.0, 255.0) as u8;
        GrayImage::from_fn(self.side as u32, self.side as u32, |x, y| image::Luma([pixel(x, y)]))
    }
}
