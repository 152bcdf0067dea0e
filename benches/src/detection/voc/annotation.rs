//! One XML file.
use super::VocError;
use quick_xml::{Reader, escape::resolve_predefined_entity, events::Event};
use std::{borrow::Cow, fs::File, io::BufReader, path::Path};

/// Elements within one another in any annotation, generously.
const DEEPEST: usize = 64;

/// What an XML file says of its image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotation {
    /// The image's file.
    pub file: Option<String>,
    pub objects: Vec<Annotated>,
}

/// An object, as its file describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotated {
    pub class: String,
    pub difficult: bool,
    /// Left, top, right, bottom, in pixels.
    pub sides: [f64; 4],
}

/// An object that is being read.
#[derive(Default)]
struct Partial {
    class: Option<String>,
    difficult: bool,
    sides: [Option<f64>; 4],
}

/// Names of a box's sides.
const SIDES: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];

impl Annotation {
    /// Reads a file, piece by piece.
    ///
    /// # Errors
    /// [`VocError::Read`]; [`VocError::Xml`] when it is not XML, or an object lacks its name or a side of its box.
    pub fn read(path: &Path) -> Result<Annotation, VocError> {
        let file = File::open(path).map_err(|source| VocError::Read { path: path.to_owned(), source })?;
        let mut reader = Reader::from_reader(BufReader::new(file));
        let mut annotation = Annotation::default();
        // The names of the elements that are open, and the text of each so far.
        let (mut open, mut texts, mut buffer) = (Vec::<String>::new(), Vec::<String>::new(), Vec::<u8>::new());
        let mut partial = Partial::default();
        let mut found = false;
        loop {
            let event = reader.read_event_into(&mut buffer);
            let position = reader.buffer_position();
            let wrong = |problem: String| VocError::Xml { path: path.to_owned(), position, problem };
            match event.map_err(|error| wrong(error.to_string()))? {
                Event::Start(tag) => {
                    open.push(String::from_utf8_lossy(tag.name().as_ref()).into_owned());
                    texts.push(String::new());
                    if open.len() > DEEPEST {
                        return Err(wrong(format!("more than {DEEPEST} elements within one another")));
                    }
                    found |= open == ["annotation"];
                    if open == ["annotation", "object"] {
                        partial = Partial::default();
                    }
                }
                Event::End(_) => {
                    let names: Vec<&str> = open.iter().map(String::as_str).collect();
                    let text = texts.pop().unwrap_or_default();
                    annotation.take(&mut partial, &names, text.trim()).map_err(wrong)?;
                    if open == ["annotation", "object"] {
                        annotation.objects.push(std::mem::take(&mut partial).finish().map_err(wrong)?);
                    }
                    open.pop();
                }
                Event::Eof if !open.is_empty() => {
                    return Err(wrong(format!("the file ends within <{}>", open.join("><"))));
                }
                Event::Eof if !found => return Err(wrong("no <annotation>".to_owned())),
                Event::Eof => return Ok(annotation),
                event => {
                    if let Some(text) = texts.last_mut() {
                        text.push_str(&text_of(&event).map_err(wrong)?);
                    }
                }
            }
            buffer.clear();
        }
    }

    /// Takes over the text of an element; `open` are the elements that it stands in.
    fn take(&mut self, partial: &mut Partial, open: &[&str], text: &str) -> Result<(), String> {
        match open {
            ["annotation", "filename"] => self.file = Some(text.to_owned()),
            ["annotation", "object", "name"] => partial.class = Some(text.to_owned()),
            ["annotation", "object", "difficult"] => partial.difficult = text == "1",
            ["annotation", "object", "bndbox", side] => {
                let number = || text.parse::<f64>().ok().filter(|number| number.is_finite());
                if let Some(index) = SIDES.iter().position(|name| name == side) {
                    partial.sides[index] = Some(number().ok_or(format!("<{side}> is `{text}`, not a number"))?);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The text that an event stands for. Of references only characters and XML's own five names are known: nothing that a file
/// declares is expanded.
fn text_of(event: &Event<'_>) -> Result<String, String> {
    match event {
        Event::Text(text) => text.decode().map(Cow::into_owned).map_err(|error| error.to_string()),
        Event::CData(text) => text.decode().map(Cow::into_owned).map_err(|error| error.to_string()),
        Event::GeneralRef(reference) => {
            if let Some(character) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
                return Ok(character.to_string());
            }
            let name = reference.decode().map_err(|error| error.to_string())?;
            resolve_predefined_entity(&name).map(str::to_owned).ok_or(format!("the entity `{name}` is not known"))
        }
        _ => Ok(String::new()),
    }
}

impl Partial {
    fn finish(self) -> Result<Annotated, String> {
        let class = self.class.ok_or("an object without a name")?;
        let missing = SIDES.iter().zip(self.sides).find(|(_, side)| side.is_none());
        match missing {
            Some((name, _)) => Err(format!("the box of a {class} has no <{name}>")),
            None => {
                Ok(Annotated { class, difficult: self.difficult, sides: self.sides.map(Option::unwrap_or_default) })
            }
        }
    }
}
