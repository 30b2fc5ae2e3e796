//! `portbed serve`: the model, used by a vfio-user client that nobody here wrote, and by hostile ones.

mod host;
mod hostile;
mod served;
mod session;
