//! Three answers: yes, no, could not tell because …

/// What is known of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It is so.
    Yes,
    /// It is not so.
    No,
    /// It could not be told, and why.
    Unknown(String),
}

impl Told {
    /// Of something that was seen.
    pub const fn of(seen: bool) -> Self {
        if seen { Self::Yes } else { Self::No }
    }

    /// Nobody asked.
    pub fn not_asked() -> Self {
        Self::Unknown("it was not asked".to_owned())
    }

    /// Whether it is known to be so.
    pub const fn is_yes(&self) -> bool {
        matches!(self, Self::Yes)
    }

    /// Whether it is known not to be so.
    pub const fn is_no(&self) -> bool {
        matches!(self, Self::No)
    }

    /// true, false, or None.
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Yes => Some(true),
            Self::No => Some(false),
            Self::Unknown(_) => None,
        }
    }

    /// Why it could not be told.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Unknown(why) => Some(why),
            _ => None,
        }
    }
}
