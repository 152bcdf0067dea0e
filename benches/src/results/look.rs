//! How the pictures tell methods apart: each has a colour, a shape and, where lines would be confused, dashes of its own,
//! the same in all pictures.
use crate::experiment::{
    plan::{Kind, PrunedRate},
    settings::{AllocationName, Budget},
};
use plotters::{coord::Shift, element::DashedPathElement, prelude::*};

/// What drawing gives.
type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// A place in the picture.
type Pixel = (i32, i32);

/// A row's look.
#[derive(Clone, Copy)]
pub struct Look {
    colour: RGBColor,
    marker: Marker,
    hollow: bool,
    dashes: Dashes,
    width: u32,
}

#[derive(Clone, Copy)]
enum Marker {
    Circle,
    Square,
    Triangle,
    Downward,
    Diamond,
    Plus,
    Cross,
    Star,
}

#[derive(Clone, Copy)]
enum Dashes {
    None,
    Short,
    Long,
}

impl Look {
    /// Of a row of the comparison. The colours are Okabe and Ito's and some of Tol's muted ones, which differ for all who see colours, and in
    /// lightness for those who see none.
    pub fn of(kind: Kind) -> Look {
        use Dashes::{Long, None, Short};
        use Marker::{Circle, Cross, Diamond, Downward, Plus, Square, Star, Triangle};
        let look =
            |(r, g, b), marker, hollow, dashes| Look { colour: RGBColor(r, g, b), marker, hollow, dashes, width: 3 };
        match kind {
            Kind::Nested => Look { width: 5, ..look((0, 114, 178), Circle, false, None) },
            Kind::NestedInPairs => look((51, 34, 136), Diamond, false, Long),
            Kind::NestedSpread(AllocationName::Erk) => look((86, 180, 233), Square, false, Long),
            Kind::NestedSpread(_) => look((0, 158, 115), Triangle, false, Short),
            Kind::StandAlone(Budget::A) => look((230, 159, 0), Downward, false, Long),
            Kind::StandAlone(Budget::B) => look((213, 94, 0), Square, true, None),
            Kind::Pruned { dense: false, rate: PrunedRate::OfLevels, .. } => look((90, 90, 90), Triangle, true, Short),
            Kind::Pruned { dense: false, .. } => look((90, 90, 90), Triangle, false, Long),
            Kind::Pruned { dense: true, rate: PrunedRate::OfLevels, .. } => look((150, 150, 150), Diamond, true, Short),
            Kind::Pruned { dense: true, .. } => look((150, 150, 150), Diamond, false, Long),
            Kind::Dsnn { joint: false } => look((136, 34, 85), Cross, false, None),
            Kind::Dsnn { joint: true } => look((136, 34, 85), Circle, true, Short),
            Kind::Slimmable { joint: false } => look((204, 121, 167), Plus, false, None),
            Kind::Slimmable { joint: true } => look((204, 121, 167), Downward, true, Short),
            Kind::Dense => look((0, 0, 0), Star, false, None),
        }
    }

    /// A straight line.
    pub fn line<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, ends: [Pixel; 2]) -> Drawn<B> {
        let style = self.colour.stroke_width(self.width);
        let (dash, gap) = match self.dashes {
            Dashes::None => return area.draw(&PathElement::new(ends.to_vec(), style)),
            Dashes::Short => (4, 5),
            Dashes::Long => (13, 7),
        };
        area.draw(&DashedPathElement::new(ends, dash, gap, style))
    }

    /// A spread around a point; paler, since many lie over each other.
    pub fn bar<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, ends: [Pixel; 2]) -> Drawn<B> {
        area.draw(&PathElement::new(ends.to_vec(), self.colour.mix(0.6).stroke_width(2)))
    }

    /// The shape, with a white rim that parts it from those behind.
    pub fn mark<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, middle: Pixel) -> Drawn<B> {
        let shape = |scale: f64, colour: RGBColor| {
            let place =
                |&(x, y): &(f64, f64)| (middle.0 + (scale * x).round() as i32, middle.1 + (scale * y).round() as i32);
            Polygon::new(self.marker.corners().iter().map(place).collect::<Vec<_>>(), colour.filled())
        };
        area.draw(&shape(1.3, WHITE))?;
        area.draw(&shape(1.0, self.colour))?;
        if self.hollow { area.draw(&shape(0.5, WHITE)) } else { Ok(()) }
    }
}

impl Marker {
    /// The shape's corners in pixels, around a middle.
    fn corners(self) -> Vec<(f64, f64)> {
        const PLUS: [(f64, f64); 12] = [
            (-3.0, -10.0),
            (3.0, -10.0),
            (3.0, -3.0),
            (10.0, -3.0),
            (10.0, 3.0),
            (3.0, 3.0),
            (3.0, 10.0),
            (-3.0, 10.0),
            (-3.0, 3.0),
            (-10.0, 3.0),
            (-10.0, -3.0),
            (-3.0, -3.0),
        ];
        // So many corners, in turn at these distances, the first one on top.
        let around = |corners: usize, radii: [f64; 2]| {
            let corner = |index: usize| {
                let (sin, cos) = (std::f64::consts::TAU * index as f64 / corners as f64).sin_cos();
                (radii[index % 2] * sin, -radii[index % 2] * cos)
            };
            (0..corners).map(corner).collect()
        };
        match self {
            Marker::Circle => around(24, [8.5; 2]),
            Marker::Square => vec![(-7.5, -7.5), (7.5, -7.5), (7.5, 7.5), (-7.5, 7.5)],
            Marker::Triangle => vec![(0.0, -10.0), (9.5, 7.5), (-9.5, 7.5)],
            Marker::Downward => vec![(0.0, 10.0), (9.5, -7.5), (-9.5, -7.5)],
            Marker::Diamond => around(4, [11.0; 2]),
            Marker::Plus => PLUS.to_vec(),
            Marker::Cross => PLUS.map(|(x, y)| ((x - y) * 0.75, (x + y) * 0.75)).to_vec(),
            Marker::Star => around(10, [14.0, 6.0]),
        }
    }
}
