//! The agents as the orchestrator reaches them: links that polling agents
//! opened and links that it keeps to listening ones. Start with [`Fleet`].

use towline_link::{identity::AgentName, io::LinkStream};

/// All links to agents. A handle: clones share the links.
#[derive(Clone, Debug)]
pub struct Fleet {}

impl Fleet {
    /// Takes a link that the polling agent `name` opened.
    pub fn accept_link(&self, stream: LinkStream, name: AgentName) {
        let _ = (stream, name);
    }
}
