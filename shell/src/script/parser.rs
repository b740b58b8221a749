//! Tokens to tree, by recursive descent of bounded depth into arrays of fixed size.

use super::lexer::{Lexer, Token};
use super::{Applet, MAX_DEPTH, MAX_NODES, MAX_SCRIPT, MAX_WORDS, Refusal};

/// Index into [`Tree`]'s nodes.
pub type NodeId = u8;

/// One step of a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Node {
    /// A command and where its words (the name not among them) are in the tree.
    Command {
        applet: Applet,
        first_word: u8,
        words: u8,
    },
    Not(NodeId),
    And(NodeId, NodeId),
    Or(NodeId, NodeId),
    Subshell(NodeId),
}

/// A parsed script; `root` is `None` when it is empty.
pub struct Tree<'s> {
    nodes: [Node; MAX_NODES],
    node_count: usize,
    words: [&'s [u8]; MAX_WORDS],
    word_count: usize,
    root: Option<NodeId>,
}

impl<'s> Tree<'s> {
    /// Where running starts.
    pub fn root(&self) -> Option<NodeId> {
        self.root
    }

    /// The node of an id that this tree gave out.
    pub fn node(&self, id: NodeId) -> Node {
        self.nodes[usize::from(id)]
    }

    /// The words of a command, still quoted.
    pub fn words(&self, first: u8, count: u8) -> &[&'s [u8]] {
        let first = usize::from(first);
        &self.words[first..first + usize::from(count)]
    }
}

/// Reads a whole script, or says why not.
pub fn parse(script: &[u8]) -> Result<Tree<'_>, Refusal<'_>> {
    if script.len() > MAX_SCRIPT {
        return Err(Refusal::TooLarge { problem: "the script is longer than 16 KiB" });
    }
    let mut parser = Parser::new(script)?;
    if parser.token == Token::End {
        return Ok(parser.tree);
    }
    let root = parser.list(0)?;
    if parser.token != Token::End {
        return Err(parser.unexpected("a command or `)` that nothing joins to what is before it"));
    }
    parser.tree.root = Some(root);
    Ok(parser.tree)
}

struct Parser<'s> {
    lexer: Lexer<'s>,
    /// The token not yet consumed.
    token: Token<'s>,
    tree: Tree<'s>,
}

type Parsed<'s> = Result<NodeId, Refusal<'s>>;

impl<'s> Parser<'s> {
    fn new(script: &'s [u8]) -> Result<Self, Refusal<'s>> {
        let mut lexer = Lexer::new(script);
        let token = lexer.next_token()?;
        let tree = Tree { nodes: [Node::Not(0); MAX_NODES], node_count: 0, words: [b""; MAX_WORDS], word_count: 0, root: None };
        Ok(Self { lexer, token, tree })
    }

    fn list(&mut self, depth: usize) -> Parsed<'s> {
        let mut left = self.unit(depth)?;
        loop {
            let join: fn(NodeId, NodeId) -> Node = match self.token {
                Token::And => Node::And,
                Token::Or => Node::Or,
                _ => return Ok(left),
            };
            self.advance()?;
            let right = self.unit(depth)?;
            left = self.add(join(left, right))?;
        }
    }

    fn unit(&mut self, depth: usize) -> Parsed<'s> {
        if self.token != Token::Word(b"!") {
            return self.primary(depth);
        }
        self.advance()?;
        let inner = self.primary(depth)?;
        self.add(Node::Not(inner))
    }

    fn primary(&mut self, depth: usize) -> Parsed<'s> {
        match self.token {
            Token::Open => self.subshell(depth),
            Token::Word(name) => self.command(name),
            _ => Err(self.unexpected("a command is missing")),
        }
    }

    fn subshell(&mut self, depth: usize) -> Parsed<'s> {
        if depth == MAX_DEPTH {
            return Err(Refusal::TooLarge { problem: "parentheses are nested deeper than 16" });
        }
        self.advance()?;
        let inner = self.list(depth + 1)?;
        if self.token != Token::Close {
            return Err(self.unexpected("a `)` is missing"));
        }
        self.advance()?;
        self.add(Node::Subshell(inner))
    }

    fn command(&mut self, name: &'s [u8]) -> Parsed<'s> {
        let at = self.lexer.at() - name.len();
        let applet = Applet::named(name).ok_or(Refusal::Unsupported { what: name, at })?;
        let first = self.tree.word_count;
        self.advance()?;
        while let Token::Word(word) = self.token {
            self.add_word(word)?;
            self.advance()?;
        }
        let count = self.tree.word_count - first;
        self.add(Node::Command { applet, first_word: small(first), words: small(count) })
    }

    fn add_word(&mut self, word: &'s [u8]) -> Result<(), Refusal<'s>> {
        let slot =
            self.tree.words.get_mut(self.tree.word_count).ok_or(Refusal::TooLarge { problem: "the script has more than 128 words" })?;
        *slot = word;
        self.tree.word_count += 1;
        Ok(())
    }

    fn add(&mut self, node: Node) -> Parsed<'s> {
        let id = self.tree.node_count;
        let slot = self.tree.nodes.get_mut(id).ok_or(Refusal::TooLarge { problem: "the script has more than 64 steps" })?;
        *slot = node;
        self.tree.node_count += 1;
        Ok(small(id))
    }

    fn advance(&mut self) -> Result<(), Refusal<'s>> {
        self.token = self.lexer.next_token()?;
        Ok(())
    }

    fn unexpected(&self, problem: &'static str) -> Refusal<'s> {
        Refusal::Syntax { problem, at: self.lexer.at() }
    }
}

/// Indices are below [`MAX_WORDS`] and [`MAX_NODES`], which fit a byte.
#[allow(clippy::cast_possible_truncation)]
fn small(index: usize) -> u8 {
    index as u8
}
