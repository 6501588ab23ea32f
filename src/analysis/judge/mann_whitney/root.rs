//! Where a step function changes its sign, by Brent's method with R's tolerance: `wilcox.test` and
//! Kayenta stop at 1e-4, and their figures are those of the last step.

const TOLERANCE: f64 = 1e-4;
const MOST_STEPS: u32 = 1000;

/// A point with the value there.
#[derive(Clone, Copy)]
struct Point {
    x: f64,
    y: f64,
}

/// A root of `f` within `range`; the nearer end when `f` has no change of sign there.
pub(super) fn root(f: impl Fn(f64) -> f64, range: (f64, f64)) -> f64 {
    let at = |x: f64| Point { x, y: f(x) };
    let (mut before, mut best) = (at(range.0), at(range.1));
    if before.y == 0.0 || same_side(before, best) {
        let nearer = if before.y.abs() <= best.y.abs() { before } else { best };
        return nearer.x;
    }
    let mut other = before;
    for _ in 0..MOST_STEPS {
        let previous = best.x - before.x;
        if other.y.abs() < best.y.abs() {
            before = best;
            best = other;
            other = before;
        }
        let enough = 2.0 * f64::EPSILON * best.x.abs() + TOLERANCE / 2.0;
        let half = (other.x - best.x) / 2.0;
        if half.abs() <= enough || best.y == 0.0 {
            break;
        }
        let mut step = half;
        if previous.abs() >= enough && before.y.abs() > best.y.abs() {
            step = interpolate(before, best, other, previous, enough).unwrap_or(half);
        }
        if step.abs() < enough {
            step = enough.copysign(step);
        }
        before = best;
        best = at(best.x + step);
        if same_side(best, other) {
            other = before;
        }
    }
    best.x
}

fn same_side(one: Point, two: Point) -> bool {
    (one.y > 0.0 && two.y > 0.0) || (one.y < 0.0 && two.y < 0.0)
}

/// A step by a line or a parabola through the points, unless halving is better.
fn interpolate(
    before: Point,
    best: Point,
    other: Point,
    previous: f64,
    enough: f64,
) -> Option<f64> {
    let width = other.x - best.x;
    let (mut p, mut q);
    if before.x.total_cmp(&other.x).is_eq() {
        let slope = best.y / before.y;
        p = width * slope;
        q = 1.0 - slope;
    } else {
        let (one, two) = (best.y / other.y, best.y / before.y);
        q = before.y / other.y;
        p = two * (width * q * (q - one) - (best.x - before.x) * (one - 1.0));
        q = (q - 1.0) * (one - 1.0) * (two - 1.0);
    }
    if p > 0.0 {
        q = -q;
    } else {
        p = -p;
    }
    let within = p < 0.75 * width * q - (enough * q).abs() / 2.0;
    (within && p < (previous * q / 2.0).abs()).then(|| p / q)
}
