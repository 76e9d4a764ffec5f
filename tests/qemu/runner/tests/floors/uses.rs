// SPDX-License-Identifier: BSD-3-Clause
//! Which file of the library uses which. The paths in its code are resolved, through imports and
//! re-exports, to the file with the definition. Test code does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, UseTree, Visibility};

/// A path from the root of the library, segment by segment.
type Segments = Vec<String>;

/// A module: a file, or a part of one.
#[derive(Default)]
struct Module {
    file: PathBuf,
    /// The names that it defines itself.
    defines: BTreeSet<String>,
    /// The names that it imports, with their paths.
    imports: BTreeMap<String, Segments>,
    /// Paths that it imports without re-exporting them.
    private: Vec<Segments>,
    /// Modules from which it imports everything.
    globs: Vec<Segments>,
    /// Its code, without imports.
    code: TokenStream,
}

/// The modules of the library by their paths.
pub struct Library {
    modules: BTreeMap<Segments, Module>,
}

/// Each file with the files that it uses, without itself.
pub type Uses = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

impl Library {
    /// Reads the modules declared in `root`, which is `lib.rs`, and the modules declared in those.
    pub fn read(root: &Path) -> Self {
        let mut library = Self { modules: BTreeMap::new() };
        library.add_file(root, root.parent().expect("a file is in a folder"), Vec::new());
        library
    }

    /// Adds the module at `path` and the modules in it, whose files are in `folder`.
    fn add_file(&mut self, file: &Path, folder: &Path, path: Segments) {
        let text =
            fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.add_module(file, folder, path, parsed.items);
    }

    fn add_module(&mut self, file: &Path, folder: &Path, path: Segments, items: Vec<Item>) {
        let items: Vec<_> =
            items.into_iter().filter(|item| !attributes(item).iter().any(is_for_tests)).collect();
        let mut module = Module { file: file.into(), ..Module::default() };
        module.defines.extend(items.iter().filter_map(name));
        for item in items {
            match item {
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    let inner = [&path[..], std::slice::from_ref(&name)].concat();
                    let folder = folder.join(&name);
                    if let Some((_, items)) = child.content {
                        self.add_module(file, &folder, inner, items);
                        continue;
                    }
                    let places = [folder.with_extension("rs"), folder.join("mod.rs")];
                    let place = places.iter().find(|place| place.exists());
                    self.add_file(place.expect("a module has a file"), &folder, inner);
                }
                Item::Use(import) => {
                    let is_private = matches!(import.vis, Visibility::Inherited);
                    module.add_import(&path, is_private, Vec::new(), &import.tree);
                }
                Item::Macro(item) if is_exported(&item.attrs) => {
                    let name = item.ident.as_ref().map(ToString::to_string).unwrap_or_default();
                    let root = self.modules.entry(Vec::new()).or_default();
                    root.imports.insert(name.clone(), [&path[..], &[name]].concat());
                    item.to_tokens(&mut module.code);
                }
                other => other.to_tokens(&mut module.code),
            }
        }
        let known = self.modules.remove(&path).unwrap_or_default();
        module.imports.extend(known.imports);
        self.modules.insert(path, module);
    }

    /// Gives which file uses which.
    pub fn uses(&self) -> Uses {
        let mut uses = Uses::new();
        for (path, module) in &self.modules {
            let mut found = BTreeSet::new();
            found.extend(module.private.iter().filter_map(|path| self.definition(path, 0)));
            self.scan(path, module, module.code.clone(), &mut found);
            found.remove(&module.file);
            uses.entry(module.file.clone()).or_default().extend(found);
        }
        uses
    }

    /// Adds the files that define the names in `code` to `found`.
    fn scan(
        &self,
        own: &Segments,
        module: &Module,
        code: TokenStream,
        found: &mut BTreeSet<PathBuf>,
    ) {
        let mut tokens = code.into_iter().peekable();
        // The two previous tokens, if they are punctuation.
        let mut before = [' '; 2];
        while let Some(token) = tokens.next() {
            let mut now = ' ';
            match token {
                TokenTree::Group(group) => self.scan(own, module, group.stream(), found),
                TokenTree::Punct(punct) => now = punct.as_char(),
                // Not the beginning of a path: a later segment, a field, or a method.
                TokenTree::Ident(_) if matches!(before, [':', ':'] | [' ', '.']) => {}
                TokenTree::Ident(first) => {
                    let mut segments = vec![first.to_string()];
                    while let Some(next) = after_colons(&mut tokens) {
                        segments.push(next);
                    }
                    let path = self.absolute(own, module, &segments);
                    found.extend(path.and_then(|path| self.definition(&path, 0)));
                }
                TokenTree::Literal(_) => {}
            }
            before = [before[1], now];
        }
    }

    /// The path from the root for `segments` in the module `own`; `None` for a name of another
    /// library, or a local name.
    fn absolute(&self, own: &Segments, module: &Module, segments: &[String]) -> Option<Segments> {
        let (first, rest) = segments.split_first()?;
        let start = match first.as_str() {
            "crate" => Vec::new(),
            "self" if !rest.is_empty() => own.clone(),
            "super" => return Some(above(own, rest)),
            name if module.imports.contains_key(name) => module.imports[name].clone(),
            name if self.modules.contains_key(&[&own[..], &[name.to_owned()]].concat()) => {
                [&own[..], &[name.to_owned()]].concat()
            }
            name => {
                let named = module.globs.iter().find(|glob| self.has(glob, name, 0))?;
                [&named[..], &[name.to_owned()]].concat()
            }
        };
        Some([&start[..], rest].concat())
    }

    /// Whether the module at `path` has `name`.
    fn has(&self, path: &Segments, name: &str, depth: usize) -> bool {
        depth < 4
            && self.modules.get(path).is_some_and(|module| {
                module.defines.contains(name)
                    || module.imports.contains_key(name)
                    || module.globs.iter().any(|glob| self.has(glob, name, depth + 1))
            })
    }

    /// The file that defines `path`; `None` for a module itself, or if this library does not define
    /// it.
    fn definition(&self, path: &[String], depth: usize) -> Option<PathBuf> {
        // The longest beginning of the path that is a module.
        let length =
            (0..=path.len()).rev().find(|&length| self.modules.contains_key(&path[..length]))?;
        let (start, rest) = path.split_at(length);
        let module = &self.modules[start];
        let (name, rest) = rest.split_first()?;
        if depth < 8 && !module.defines.contains(name) {
            if let Some(elsewhere) = module.imports.get(name) {
                return self.definition(&[&elsewhere[..], rest].concat(), depth + 1);
            }
            if let Some(glob) = module.globs.iter().find(|glob| self.has(glob, name, 0)) {
                let path = [&glob[..], std::slice::from_ref(name), rest].concat();
                return self.definition(&path, depth + 1);
            }
        }
        // The root of the library defines nothing itself.
        (!start.is_empty()).then(|| module.file.clone())
    }
}

/// The segment after `::`, if that comes next. A list in braces is examined by itself.
fn after_colons(
    tokens: &mut std::iter::Peekable<proc_macro2::token_stream::IntoIter>,
) -> Option<String> {
    let is_colon =
        |token: &TokenTree| matches!(token, TokenTree::Punct(colon) if colon.as_char() == ':');
    let mut ahead = tokens.clone();
    if !(is_colon(&ahead.next()?) && is_colon(&ahead.next()?)) {
        return None;
    }
    let Some(TokenTree::Ident(name)) = ahead.next() else { return None };
    *tokens = ahead;
    Some(name.to_string())
}

impl Module {
    /// Adds the names of a tree of imports.
    fn add_import(&mut self, own: &Segments, is_private: bool, prefix: Segments, tree: &UseTree) {
        let with = |name: &dyn ToString| [&prefix[..], &[name.to_string()]].concat();
        let (known, path) = match tree {
            UseTree::Path(path) => {
                return self.add_import(own, is_private, with(&path.ident), &path.tree);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_import(own, is_private, prefix.clone(), tree);
                }
                return;
            }
            UseTree::Glob(_) => {
                self.globs.extend(self.resolve(own, &prefix));
                return;
            }
            UseTree::Name(name) if name.ident == "self" => {
                (prefix.last().cloned().unwrap_or_default(), prefix.clone())
            }
            UseTree::Name(name) => (name.ident.to_string(), with(&name.ident)),
            UseTree::Rename(rename) => (rename.rename.to_string(), with(&rename.ident)),
        };
        if let Some(path) = self.resolve(own, &path) {
            self.private.extend(is_private.then(|| path.clone()));
            self.imports.insert(known, path);
        }
    }

    /// The path from the root for an import in the module `own`; `None` for another library.
    fn resolve(&self, own: &Segments, path: &[String]) -> Option<Segments> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([&own[..], rest].concat()),
            "super" => Some(above(own, rest)),
            name => self.defines.contains(name).then(|| [&own[..], path].concat()),
        }
    }
}

/// The path of `rest` after a `super` in the module `own`.
fn above(own: &[String], rest: &[String]) -> Segments {
    let parent = own.split_last().map_or(own, |(_, parent)| parent);
    match rest.split_first() {
        Some((first, rest)) if first == "super" => above(parent, rest),
        _ => [parent, rest].concat(),
    }
}

/// The name that an item defines.
fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Mod(item) => &item.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether an item exists only in tests.
fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.meta.to_token_stream().to_string().replace(' ', "") == "cfg(test)"
}

/// Whether a macro is exported, which puts it at the root of the library.
fn is_exported(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("macro_export"))
}

/// The uses that are part of a circle: the file that is used leads back to the one that uses it.
pub fn circles(uses: &[(String, String)]) -> Vec<&(String, String)> {
    let leads_to = |from: &str, to: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(file) = next.pop() {
            let used = uses.iter().filter(|(user, _)| user == file).map(|(_, used)| &**used);
            next.extend(used.filter(|used| seen.insert(*used)));
        }
        seen.contains(to)
    };
    uses.iter().filter(|(file, used)| leads_to(used, file)).collect()
}
