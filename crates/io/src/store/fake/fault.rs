//! What can be made to go wrong.

use super::call::Call;

/// Something that goes wrong with some calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which calls.
    pub call: Call,
    /// So many of them go well before.
    pub skip: u32,
    /// So many go wrong then.
    pub times: u32,
    /// How.
    pub trouble: Trouble,
}

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The service asks to be left alone for a while.
    SlowDown,
    /// This status, and a page of HTML instead of a document.
    Status(u16),
    /// The connection ends before anything is done.
    Reset,
    /// It is done, and the connection ends before the answer.
    Lost,
    /// A good status, and a failure in the body; nothing was done.
    ErrorInside,
    /// The first part of the upload is gone before anything is done.
    PartGone,
    /// One bit of the bytes is another one.
    WrongBytes,
    /// The body ends halfway.
    Cut,
    /// The newest key is left out.
    Stale,
    /// It says that it did it, and did not.
    Pretended,
    /// No more may be spent.
    Capped,
}

impl Fault {
    /// This happens the next time.
    pub const fn once(call: Call, trouble: Trouble) -> Self {
        Self { call, skip: 0, times: 1, trouble }
    }

    /// This happens every time.
    pub const fn always(call: Call, trouble: Trouble) -> Self {
        Self { call, skip: 0, times: u32::MAX, trouble }
    }
}

/// What goes wrong with this call now, if anything does.
pub(super) fn next(faults: &mut [Fault], call: Call) -> Option<Trouble> {
    let fault = faults.iter_mut().find(|fault| fault.call == call && fault.times > 0)?;
    if fault.skip > 0 {
        fault.skip -= 1;
        return None;
    }
    fault.times -= 1;
    Some(fault.trouble)
}
