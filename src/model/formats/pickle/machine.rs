//! Follows a pickle's opcodes without doing what they say: the stack and the memo move exactly as in Python's `Unpickler`, but calls give
//! an object of which only the callee is known.
//!
//! Exactly matters. Scanners that took the last two strings for the operands of `STACK_GLOBAL`, or that gave up at an opcode which
//! Python accepts, were led past the import that counted (<https://github.com/mmaitre314/picklescan/issues/22>,
//! <https://github.com/protectai/modelscan/issues/85>). Where this reader and Python could differ, it reports a danger or stops with a defect.

use super::arrays::{Embedded, OLD_WRAPPERS, WRAPPERS};
use super::error::Defect;
use super::imports::{Import, Imports};
use super::input::Input;
use super::literals;
use super::memo::Memo;
use super::opcode::{Argument, Opcode};
use super::tensors::Tensors;
use super::values::{Fields, Node, State, Value, Values};

/// Values on the stack. Frames of real pickles flush every thousand items.
const MAX_STACK: usize = 256 << 10;
/// The newest protocol: Python 3.8 to 3.15.
const NEWEST: i64 = 5;

/// Why the machine stands still.
pub(super) enum Pause {
    /// The pickle is at its end, and this is what it made.
    Stopped(Value),
    /// An array of joblib follows.
    Array(Embedded),
}

/// The state of one pickle.
#[derive(Default)]
pub(super) struct Machine {
    pub(super) values: Values,
    pub(super) protocol: u8,
    stack: Vec<Value>,
    memo: Memo,
    /// Where the frame ends that was announced last.
    frame_end: u64,
}

/// What all pickles of a file tell.
pub(super) struct Seen<'s> {
    pub(super) imports: &'s mut Imports,
    pub(super) tensors: &'s mut Tensors,
    /// How many opcodes may still come.
    pub(super) fuel: &'s mut u64,
    pub(super) limit: u64,
}

impl Machine {
    /// Follows the opcodes to the end or to an array.
    pub(super) fn run(&mut self, input: &mut Input<'_>, seen: &mut Seen<'_>) -> Result<Pause, Defect> {
        loop {
            *seen.fuel = seen.fuel.checked_sub(1).ok_or(Defect::TooLong { limit: seen.limit })?;
            let offset = input.at();
            let (opcode, argument) = Opcode::read(input)?;
            if let Argument::Number(length) = argument
                && opcode == Opcode::Frame
            {
                self.frame_end = input.at().saturating_add(u64::try_from(length).unwrap_or_default());
            }
            let mut step = Step { machine: self, seen, opcode, offset };
            if let Some(pause) = step.take(&argument)? {
                return self.outside_frames(pause, input.at());
            }
        }
    }

    /// Python reads an array from behind the frame in which it is announced; joblib ends the frame before, so that both are the same place.
    fn outside_frames(&self, pause: Pause, at: u64) -> Result<Pause, Defect> {
        match pause {
            Pause::Array(_) if at < self.frame_end => Err(Defect::Array { why: "it stands within a frame" }),
            other => Ok(other),
        }
    }
}

/// One opcode at work.
struct Step<'m, 's, 'i> {
    machine: &'m mut Machine,
    seen: &'s mut Seen<'i>,
    opcode: Opcode,
    offset: u64,
}

impl Step<'_, '_, '_> {
    fn take(&mut self, argument: &Argument) -> Result<Option<Pause>, Defect> {
        match self.opcode {
            Opcode::Stop => return Ok(Some(Pause::Stopped(self.pop()?))),
            Opcode::Build => return self.build(),
            Opcode::Proto => self.protocol(argument)?,
            Opcode::Frame => {}
            Opcode::Mark | Opcode::Pop | Opcode::PopMark | Opcode::Dup => self.shuffle()?,
            Opcode::Get | Opcode::BinGet | Opcode::LongBinGet => self.get(argument)?,
            Opcode::Put | Opcode::BinPut | Opcode::LongBinPut | Opcode::Memoize => self.put(argument)?,
            Opcode::Global | Opcode::StackGlobal | Opcode::Ext1 | Opcode::Ext2 | Opcode::Ext4 => self.import(argument)?,
            Opcode::Reduce | Opcode::NewObj | Opcode::NewObjEx | Opcode::Inst | Opcode::Obj => self.call(argument)?,
            Opcode::Append | Opcode::Appends | Opcode::AddItems | Opcode::SetItem | Opcode::SetItems => self.change()?,
            _ => self.collect_or_push(argument)?,
        }
        Ok(None)
    }

    fn push(&mut self, value: Value) -> Result<(), Defect> {
        if self.machine.stack.len() >= MAX_STACK {
            return Err(Defect::Stack { limit: MAX_STACK });
        }
        self.machine.stack.push(value);
        Ok(())
    }

    fn underflow(&self) -> Defect {
        Defect::Underflow { opcode: self.opcode.name() }
    }

    /// The top of the stack, which must not be a mark.
    fn top(&self) -> Result<Value, Defect> {
        self.machine.stack.last().copied().filter(|top| *top != Value::Mark).ok_or_else(|| self.underflow())
    }

    fn pop(&mut self) -> Result<Value, Defect> {
        let top = self.top()?;
        self.machine.stack.pop();
        Ok(top)
    }

    /// Everything above the last mark, which goes too.
    fn pop_to_mark(&mut self) -> Result<Vec<Value>, Defect> {
        let mark = self.machine.stack.iter().rposition(|value| *value == Value::Mark).ok_or_else(|| self.underflow())?;
        let items = self.machine.stack.split_off(mark + 1);
        self.machine.stack.pop();
        Ok(items)
    }

    fn protocol(&mut self, argument: &Argument) -> Result<(), Defect> {
        let Argument::Number(version) = *argument else { return Ok(()) };
        let shown = u8::try_from(version).unwrap_or(u8::MAX);
        if version > NEWEST {
            return Err(Defect::Protocol { version: shown });
        }
        self.machine.protocol = shown;
        Ok(())
    }

    fn shuffle(&mut self) -> Result<(), Defect> {
        match self.opcode {
            Opcode::Mark => self.push(Value::Mark),
            Opcode::PopMark => self.pop_to_mark().map(drop),
            Opcode::Dup => self.top().and_then(|top| self.push(top)),
            // The only one that may take a mark.
            _ => self.machine.stack.pop().map(drop).ok_or_else(|| self.underflow()),
        }
    }

    /// The number of a memo entry. A decimal with signs, spaces or underscores is none for us: readers differ in what they take.
    fn index(&self, argument: &Argument) -> Result<u64, Defect> {
        let number = match argument {
            Argument::Number(number) => u64::try_from(*number).ok(),
            Argument::Lines(Some(line), _) if !line.is_empty() && line.iter().all(u8::is_ascii_digit) => {
                std::str::from_utf8(line).ok().and_then(|digits| digits.parse().ok())
            }
            _ => None,
        };
        number.ok_or(Defect::Number { opcode: self.opcode.name() })
    }

    fn get(&mut self, argument: &Argument) -> Result<(), Defect> {
        let value = self.machine.memo.get(self.index(argument)?)?;
        self.push(value)
    }

    fn put(&mut self, argument: &Argument) -> Result<(), Defect> {
        let value = self.top()?;
        if self.opcode == Opcode::Memoize {
            return self.machine.memo.memoize(value);
        }
        let index = self.index(argument)?;
        self.machine.memo.put(index, value);
        Ok(())
    }

    fn danger(&mut self, what: impl Into<String>) {
        self.seen.imports.danger(self.offset, what.into());
    }

    fn import(&mut self, argument: &Argument) -> Result<(), Defect> {
        let value = match (self.opcode, argument) {
            (Opcode::StackGlobal, _) => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |value| self.machine.values.text_of(value).map(str::to_owned);
                self.named(text(module).zip(text(name)))
            }
            (Opcode::Global, Argument::Lines(module, name)) => self.of_lines(module.as_ref(), name.as_ref()),
            (_, Argument::Number(code)) => {
                self.danger(format!("imports by extension code {code}, whatever that stands for where it is loaded"));
                Value::Opaque
            }
            _ => Value::Opaque,
        };
        self.push(value)
    }

    fn of_lines(&mut self, module: Option<&Vec<u8>>, name: Option<&Vec<u8>>) -> Value {
        let text = |line: Option<&Vec<u8>>| String::from_utf8(line?.clone()).ok();
        self.named(text(module).zip(text(name)))
    }

    fn named(&mut self, path: Option<(String, String)>) -> Value {
        let Some((module, name)) = path else {
            self.danger("imports something whose name cannot be told");
            return Value::Opaque;
        };
        self.seen.imports.add(Import { module, name }, self.offset).map_or(Value::Opaque, Value::Import)
    }

    /// Takes a callable and its arguments, leaves what the call would give.
    fn call(&mut self, argument: &Argument) -> Result<(), Defect> {
        let (callable, arguments) = match (self.opcode, argument) {
            (Opcode::Inst, Argument::Lines(module, name)) => {
                let items = self.pop_to_mark()?;
                (self.of_lines(module.as_ref(), name.as_ref()), self.machine.values.tuple(&items))
            }
            (Opcode::Obj, _) => {
                let items = self.pop_to_mark()?;
                let (class, items) = items.split_first().ok_or_else(|| self.underflow())?;
                (*class, self.machine.values.tuple(items))
            }
            (Opcode::NewObjEx, _) => {
                let (_, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                (class, arguments)
            }
            _ => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                (callable, arguments)
            }
        };
        let object = self.object(callable, arguments);
        self.push(object)
    }

    fn object(&mut self, callable: Value, arguments: Value) -> Value {
        let Value::Import(index) = callable else {
            self.danger("calls something whose name cannot be told");
            return Value::Opaque;
        };
        if let Some(import) = self.seen.imports.get(index) {
            self.seen.tensors.count_call(import, arguments, &self.machine.values, self.seen.imports);
            if import.is_any(OLD_WRAPPERS) {
                self.danger("has its arrays in other files, as joblib wrote before 2015: what they hold is not looked into");
            }
        }
        let callable = self.class(callable, arguments);
        self.machine.values.node(Node::Object { callable, arguments, state: State::Unset })
    }

    /// The class of which an instance is made: `copyreg._reconstructor` and its kin have it as their first argument.
    fn class(&self, callable: Value, arguments: Value) -> Value {
        const MAKERS: &[&str] = &["copy_reg._reconstructor", "copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__"];
        if !self.is_any(callable, MAKERS) {
            return callable;
        }
        self.machine.values.items_of(arguments).and_then(|items| items.first().copied()).unwrap_or(Value::Opaque)
    }

    fn is_any(&self, value: Value, names: &[&str]) -> bool {
        let Value::Import(index) = value else { return false };
        self.seen.imports.get(index).is_some_and(|import| import.is_any(names))
    }

    /// Sets an object's state, and with that lets joblib read an array.
    fn build(&mut self) -> Result<Option<Pause>, Defect> {
        let (state, object) = (self.pop()?, self.top()?);
        self.check_target(object);
        self.machine.values.set_state(object, state);
        if !self.may_be_wrapper(object)? {
            return Ok(None);
        }
        let array = Embedded::after(object, &self.machine.values, self.seen.imports)?;
        self.pop()?;
        self.push(Value::Opaque)?;
        Ok(Some(Pause::Array(array)))
    }

    fn may_be_wrapper(&self, object: Value) -> Result<bool, Defect> {
        if let Some(Node::Object { callable: callable @ Value::Import(_), .. }) = self.machine.values.node_of(object) {
            return Ok(self.is_any(*callable, WRAPPERS));
        }
        // An instance of who knows what, in a file where it may be an array: what follows may be bytes or opcodes.
        let has_wrappers = self.seen.imports.list().iter().any(|import| import.is_any(WRAPPERS));
        let is_told = !matches!(object, Value::Opaque | Value::Node(_));
        if has_wrappers && !is_told { Err(Defect::Array { why: "whether it is one" }) } else { Ok(false) }
    }

    /// An import is nobody's to change: a function with another attribute is how a name is hidden
    /// (<https://github.com/protectai/modelscan/issues/85>).
    fn check_target(&mut self, target: Value) {
        let Value::Import(index) = target else { return };
        let name = self.seen.imports.get(index).map(ToString::to_string).unwrap_or_default();
        self.danger(format!("changes {name} itself"));
    }

    fn change(&mut self) -> Result<(), Defect> {
        let items = match self.opcode {
            Opcode::Append => vec![self.pop()?],
            Opcode::SetItem => {
                let (value, key) = (self.pop()?, self.pop()?);
                vec![key, value]
            }
            _ => self.pop_to_mark()?,
        };
        let target = self.top()?;
        self.check_target(target);
        let values = &mut self.machine.values;
        match self.opcode {
            Opcode::SetItem | Opcode::SetItems if items.len() % 2 != 0 => return Err(self.underflow()),
            Opcode::SetItem | Opcode::SetItems => values.set_entries(target, &items),
            _ => values.append(target, &items),
        }
        Ok(())
    }

    fn collect_or_push(&mut self, argument: &Argument) -> Result<(), Defect> {
        let value = match self.opcode {
            Opcode::Tuple | Opcode::List | Opcode::Dict | Opcode::FrozenSet => self.collect()?,
            Opcode::Tuple1 => self.small_tuple::<1>()?,
            Opcode::Tuple2 => self.small_tuple::<2>()?,
            Opcode::Tuple3 => self.small_tuple::<3>()?,
            Opcode::BinPersId => {
                let id = self.pop()?;
                self.machine.values.node(Node::Persistent(id))
            }
            // Takes a buffer and gives it back read-only.
            Opcode::ReadonlyBuffer => self.pop()?,
            _ => literals::value(self.opcode, argument, &mut self.machine.values),
        };
        self.push(value)
    }

    fn collect(&mut self) -> Result<Value, Defect> {
        let items = self.pop_to_mark()?;
        let opcode = self.opcode;
        let values = &mut self.machine.values;
        match opcode {
            Opcode::Tuple => Ok(values.tuple(&items)),
            Opcode::List => {
                let list = values.node(Node::List(Vec::new()));
                values.append(list, &items);
                Ok(list)
            }
            Opcode::Dict if items.len() % 2 != 0 => Err(self.underflow()),
            Opcode::Dict => {
                let dict = values.node(Node::Dict(Fields::default()));
                values.set_entries(dict, &items);
                Ok(dict)
            }
            _ => Ok(Value::Opaque),
        }
    }

    fn small_tuple<const N: usize>(&mut self) -> Result<Value, Defect> {
        let mut items = [Value::None; N];
        for item in items.iter_mut().rev() {
            *item = self.pop()?;
        }
        Ok(self.machine.values.tuple(&items))
    }
}
