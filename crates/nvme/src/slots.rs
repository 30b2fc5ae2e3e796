//! Command identifiers: a slot for each outstanding command, and a generation in the identifier,
//! so that a completion that comes late, twice, or for nothing is noticed.

/// Why a completion's command identifier names no outstanding command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotError {
    /// This driver never made the identifier.
    Impossible,
    /// That use of the slot is over (late or twice), or is still to come.
    Stale,
}

/// One slot of [`Slots`].
#[derive(Debug)]
struct Slot<T> {
    /// What the command is for, while it is outstanding.
    value: Option<T>,
    /// The generation of the present use, or of the next one while the slot is free.
    generation: u16,
    /// The next free slot, while this one is free.
    next: u16,
}

/// `N` slots for outstanding commands, each with a value of the caller. Issuing and retiring take constant time.
///
/// An identifier is the slot's index in its lower bits and a generation above; it is never `FFFFh`, which a controller
/// uses to name no command.
#[derive(Debug)]
pub struct Slots<T, const N: usize> {
    entries: [Slot<T>; N],
    /// The first free slot among those used before; `NONE` when there is none.
    free: u16,
    /// How many slots, from the first on, were ever used.
    used: u16,
    outstanding: u16,
}

/// No slot: ends the free list.
const NONE: u16 = u16::MAX;

impl<T, const N: usize> Slots<T, N> {
    /// Number of bits that hold the index: enough for `N` slots, at least 4 left for the generation.
    const INDEX_BITS: u32 = {
        assert!(N >= 1 && N <= 4096, "1 to 4096 slots");
        usize::BITS - (N - 1).leading_zeros()
    };
    /// Generations run from 0 to one below this, so that no identifier is `FFFFh`.
    const GENERATIONS: u16 = u16::MAX >> Self::INDEX_BITS;

    /// Slots without any outstanding command. Constant, so that it can be placed without passing over a stack.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: [const {
                Slot {
                    value: None,
                    generation: 0,
                    next: NONE,
                }
            }; N],
            free: NONE,
            used: 0,
            outstanding: 0,
        }
    }

    /// The slot that the next command gets; `None` when all are taken.
    pub fn vacant(&mut self) -> Option<Vacant<'_, T>> {
        let fresh = self.free == NONE;
        let index = if fresh { self.used } else { self.free };
        let slot = self.entries.get_mut(usize::from(index))?;
        Some(Vacant {
            id: slot.generation << Self::INDEX_BITS | index,
            used: index.wrapping_add(1).max(self.used),
            slot,
            first_free: &mut self.free,
            first_unused: &mut self.used,
            outstanding: &mut self.outstanding,
        })
    }

    /// Frees the slot of an outstanding command and returns its value.
    pub fn retire(&mut self, id: u16) -> Result<T, SlotError> {
        let index = Self::index(id);
        let slot = self
            .entries
            .get_mut(usize::from(index))
            .ok_or(SlotError::Impossible)?;
        let generation = id >> Self::INDEX_BITS;
        if slot.generation != generation {
            return Err(if generation < Self::GENERATIONS && index < self.used {
                SlotError::Stale
            } else {
                SlotError::Impossible
            });
        }
        let value = slot.value.take().ok_or(if index < self.used {
            SlotError::Stale
        } else {
            SlotError::Impossible
        })?;
        let generation = slot.generation.wrapping_add(1);
        slot.generation = if generation >= Self::GENERATIONS {
            0
        } else {
            generation
        };
        slot.next = self.free;
        self.free = index;
        self.outstanding = self.outstanding.wrapping_sub(1);
        Ok(value)
    }

    /// The value of an outstanding command.
    pub fn get_mut(&mut self, id: u16) -> Option<&mut T> {
        let slot = self.entries.get_mut(usize::from(Self::index(id)))?;
        slot.value
            .as_mut()
            .filter(|_| slot.generation == id >> Self::INDEX_BITS)
    }

    /// How many commands are outstanding.
    pub const fn outstanding(&self) -> usize {
        self.outstanding as usize
    }

    /// Identifiers and values of the outstanding commands, in the order of the slots.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &T)> {
        (0u16..).zip(&self.entries).filter_map(|(index, slot)| {
            let id = slot.generation << Self::INDEX_BITS | index;
            slot.value.as_ref().map(|value| (id, value))
        })
    }

    /// Retires every outstanding command. For after a reset, when the controller has forgotten them all: their identifiers are
    /// stale from then on.
    pub fn retire_all(&mut self, mut retired: impl FnMut(T)) {
        for index in 0..self.used {
            if self.outstanding == 0 {
                return;
            }
            let slot = self.entries.get(usize::from(index));
            let id = slot.map_or(0, |slot| slot.generation << Self::INDEX_BITS | index);
            if let Ok(value) = self.retire(id) {
                retired(value);
            }
        }
    }

    const fn index(id: u16) -> u16 {
        id & !(u16::MAX << Self::INDEX_BITS)
    }
}

/// A slot that no command has.
#[derive(Debug)]
pub struct Vacant<'a, T> {
    id: u16,
    /// How many slots were ever used once this one is.
    used: u16,
    slot: &'a mut Slot<T>,
    first_free: &'a mut u16,
    first_unused: &'a mut u16,
    outstanding: &'a mut u16,
}

impl<T> Vacant<'_, T> {
    /// The identifier of the command that gets it.
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// Gives it to a command.
    pub fn fill(self, value: T) {
        self.slot.value = Some(value);
        // A slot that was never used has no next one.
        *self.first_free = self.slot.next;
        *self.first_unused = self.used;
        *self.outstanding = self.outstanding.wrapping_add(1);
    }
}

impl<T, const N: usize> Default for Slots<T, N> {
    fn default() -> Self {
        Self::new()
    }
}
