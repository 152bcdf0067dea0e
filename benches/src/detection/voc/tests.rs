use super::*;
use std::fs;

/// An annotation with objects `(class, difficult, [xmin, ymin, xmax, ymax])`.
fn xml(file: &str, objects: &[(&str, bool, [i32; 4])]) -> String {
    let object = |(class, difficult, [xmin, ymin, xmax, ymax]): &(&str, bool, [i32; 4])| {
        let difficult = i32::from(*difficult);
        // A part has a name and a box of its own, which are not the object's.
        format!(
            "<object><name>{class}</name><difficult>{difficult}</difficult><bndbox><xmin>{xmin}</xmin>\
             <ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox>\
             <part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
        )
    };
    let objects: String = objects.iter().map(object).collect();
    format!("<annotation>\n<folder>x</folder><filename>{file}</filename>{objects}</annotation>\n")
}

fn save(path: &Path, width: u32, height: u32, red: u8) {
    RgbImage::from_pixel(width, height, image::Rgb([red, 20, 30])).save(path).unwrap();
}

/// A folder in VOC's layout with images of 40×20 and the given annotations.
fn folder(annotations: &[String]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["JPEGImages", "Annotations"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    for (index, text) in annotations.iter().enumerate() {
        save(&folder.path().join(format!("JPEGImages/{index}.png")), 40, 20, index as u8);
        fs::write(folder.path().join(format!("Annotations/{index}.xml")), text).unwrap();
    }
    folder
}

fn read(folder: &Path, classes: &[&str]) -> Result<SceneSplit, VocError> {
    let classes: Vec<String> = classes.iter().map(|class| (*class).to_owned()).collect();
    Voc::open(folder)?.read(8, None, &classes)
}

#[test]
fn images_and_boxes_are_read_and_split() {
    let dog =
        |index: usize| xml(&format!("{index}.png"), &[("dog", false, [1, 1, 20, 20]), ("cat", true, [21, 11, 40, 20])]);
    let folder = folder(&(0..10).map(dog).collect::<Vec<_>>());
    let split = read(folder.path(), &[]).unwrap();
    assert_eq!(split.classes, ["cat", "dog"]);
    assert_eq!((split.train.scenes.len(), split.test.scenes.len()), (8, 2));
    let [dog, cat] = split.train.scenes.objects[0][..] else { panic!("two objects") };
    assert_eq!((dog.class, dog.difficult), (1, false));
    assert_eq!(dog.frame, Frame { top: 0.0, left: 0.0, bottom: 1.0, right: 0.5 });
    assert_eq!((cat.class, cat.difficult), (0, true));
    assert_eq!(cat.frame, Frame { top: 0.5, left: 0.5, bottom: 1.0, right: 1.0 });
    // Channel-major: 64 red pixels, then the green ones.
    assert_eq!(split.test.scenes.pixels.len(), 2 * 3 * 64);
    assert_eq!(split.test.scenes.pixels[64..128], [20; 64]);
    let only = read(folder.path(), &["cat"]).unwrap();
    assert_eq!((only.classes.len(), only.train.scenes.objects[0].len()), (1, 1));
}

#[test]
fn the_folders_own_split_counts_and_a_flat_folder_is_read_too() {
    let folder = folder(&["0.png", "1.png"].map(|file| xml(file, &[("a", false, [1, 1, 9, 9])])));
    let lists = folder.path().join("ImageSets/Main");
    fs::create_dir_all(&lists).unwrap();
    fs::write(lists.join("train.txt"), "1\n").unwrap();
    fs::write(lists.join("val.txt"), "0\n").unwrap();
    let split = read(folder.path(), &[]).unwrap();
    assert_eq!(split.train.scenes.pixels[0], 1);
    assert_eq!(split.test.scenes.pixels[0], 0);

    // As it may be where nothing is measured on: all figures would be of no image.
    for (list, names) in [("val.txt", "0\n"), ("train.txt", "1\n")] {
        fs::write(lists.join(list), "\n").unwrap();
        let problem = read(folder.path(), &[]).unwrap_err().to_string();
        assert_eq!(problem, format!("{}: names no image", lists.join(list).display()));
        fs::write(lists.join(list), names).unwrap();
    }

    let flat = tempfile::tempdir().unwrap();
    for name in ["p", "q", "r", "s", "t"] {
        save(&flat.path().join(format!("{name}.png")), 40, 20, 7);
        // A name that leads elsewhere is looked for beside the annotation.
        fs::write(flat.path().join(format!("{name}.xml")), xml("/elsewhere/x.png", &[("a", false, [0, 0, 40, 20])]))
            .unwrap();
    }
    let split = read(flat.path(), &[]).unwrap();
    assert_eq!((split.train.scenes.len(), split.test.scenes.len()), (4, 1));
}

#[test]
fn what_is_wrong_is_named() {
    let error = |text: String, classes: &[&str]| read(folder(&[text]).path(), classes).unwrap_err();
    let fine = || xml("0.png", &[("dog", false, [1, 1, 20, 20])]);
    for sides in [[1, 1, 41, 20], [-1, 1, 9, 9], [0, 1, 0, 9], [1, 5, 20, 4]] {
        let error = error(xml("0.png", &[("dog", false, sides)]), &[]);
        assert!(matches!(error, VocError::Outside { width: 40, height: 20, .. }), "{error}");
        assert!(error.to_string().contains("Annotations/0.xml: the box of a dog"), "{error}");
    }
    let unknown = error(fine(), &["dog", "cow"]);
    assert_eq!(unknown.to_string(), "no annotation has the class `cow`; the classes are dog");
    for (text, problem) in [
        (fine().replace("</annotation>", ""), "the file ends within <annotation>"),
        (fine().replace("<xmax>20</xmax>", ""), "the box of a dog has no <xmax>"),
        (fine().replace("<xmax>20", "<xmax>NaN"), "<xmax> is `NaN`, not a number"),
        (fine().replace("<name>dog</name>", ""), "an object without a name"),
        (fine().replace("</bndbox></part>", "</part>"), "bndbox"),
        (fine().replace("dog", "&bomb;"), "the entity `bomb` is not known"),
        (fine().replace("annotation>", "labels>"), "no <annotation>"),
        ("<a>".repeat(100), "more than 64 elements within one another"),
    ] {
        let error = error(text, &[]);
        assert!(matches!(error, VocError::Xml { .. }) && error.to_string().contains(problem), "{error}");
    }
}

#[test]
fn text_comes_in_pieces_and_a_box_may_be_one_pixel() {
    let text = xml("0.png", &[("black &amp; wh<!-- x -->ite &#33;", false, [9, 1, 9, 9])]);
    let split = read(folder(&[text]).path(), &[]).unwrap();
    assert_eq!(split.classes, ["black & white !"]);
    let objects = [split.train.truth, split.test.truth].concat().concat();
    assert!((objects[0].frame.size()[1] - 1.0 / 40.0).abs() < 1e-6);
}

#[test]
fn an_image_of_both_lists_is_refused() {
    let folder = folder(&["0.png", "1.png"].map(|file| xml(file, &[("a", false, [1, 1, 9, 9])])));
    let lists = folder.path().join("ImageSets/Main");
    fs::create_dir_all(&lists).unwrap();
    fs::write(lists.join("train.txt"), "1\n0\n").unwrap();
    fs::write(lists.join("val.txt"), "0\n").unwrap();
    let error = read(folder.path(), &[]).unwrap_err();
    assert!(matches!(&error, VocError::Shared { name, .. } if name == "0"), "{error}");
}

#[test]
fn missing_and_broken_files_are_named() {
    let without = folder(&[xml("0.png", &[])]);
    fs::remove_file(without.path().join("JPEGImages/0.png")).unwrap();
    let error = read(without.path(), &[]).unwrap_err();
    assert!(matches!(&error, VocError::MissingImage { name, .. } if name == "0.png"), "{error}");

    let broken = folder(&[xml("0.png", &[])]);
    fs::write(broken.path().join("JPEGImages/0.png"), b"no image").unwrap();
    assert!(matches!(read(broken.path(), &[]), Err(VocError::Image { .. })));

    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Voc::open(empty.path()).map(|_| ()), Err(VocError::NoAnnotations { .. })));
    assert!(matches!(Voc::open(&empty.path().join("nowhere")).map(|_| ()), Err(VocError::Read { .. })));
}

/// In a folder whose files are named by class, the last fifth would be of one class.
#[test]
fn validation_images_are_drawn_from_all_that_are_trained_on_and_from_no_others() {
    let folder = folder(&(0..50).map(|index| xml(&format!("{index}.png"), &[])).collect::<Vec<_>>());
    let all = Voc::open(folder.path()).unwrap();
    let [train, test] = all.split.clone();
    let [fewer, validation] = all.validation().split;
    assert_eq!((train.len(), test.len(), fewer.len(), validation.len()), (40, 10, 32, 8));
    let mut together = [fewer, validation.clone()].concat();
    together.sort_unstable();
    assert_eq!(together, train);
    assert!(validation.iter().any(|name| train.iter().position(|other| other == name) < Some(20)));
}
