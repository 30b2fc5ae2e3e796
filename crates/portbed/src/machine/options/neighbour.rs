//! Another device on the adapter's interrupt line.

/// What another device on the interrupt line does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Neighbour {
    /// There is none.
    #[default]
    None,
    /// It interrupts now and then. Its own routine is called where the miniport's has not claimed the interrupt.
    Working,
    /// It works for a while; then it asserts the line for so many interrupts in a row that no routine claims.
    Broken(u32),
}

impl Neighbour {
    /// What `none`, `working` and `broken:N` mean.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "none" => Self::None,
            "working" => Self::Working,
            _ => match text.split_once(':')? {
                ("broken", count) => Self::Broken(super::keys::positive(count)?),
                _ => return None,
            },
        })
    }
}
