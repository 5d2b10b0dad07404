//! The first `agent.toml`, as `towline-agent join` writes it: with the words of
//! explanation that a person needs who opens it.

use std::fmt::Write as _;

use super::{Listen, ServedRegion};

/// What an enrolment knows of the agent.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    pub name: &'a str,
    pub account: Option<&'a str>,
    /// `host:port`, for a polling agent.
    pub orchestrator: Option<&'a str>,
    pub listen: Option<&'a Listen>,
    pub endpoint_url: Option<&'a str>,
    pub regions: &'a [ServedRegion],
}

impl Draft<'_> {
    /// The text of the file.
    pub fn render(&self) -> String {
        let mut text = String::from(
            "# The agent of one AWS account. `towline-agent check` says what is wrong with it.\n",
        );
        // Writing to a String cannot fail.
        let mut line = |content: std::fmt::Arguments<'_>| {
            let _ = text.write_fmt(content);
        };
        line(format_args!("name = {}\n", quoted(self.name)));
        match self.account {
            Some(account) => line(format_args!(
                "# Credentials of another account are refused.\naccount = {}\n",
                quoted(account)
            )),
            None => line(format_args!(
                "# account = \"111111111111\"    # refuse the credentials of another account\n"
            )),
        }
        if let Some(address) = self.orchestrator {
            line(format_args!(
                "\n# The agent dials the orchestrator.\n[orchestrator]\naddress = {}\n",
                quoted(address)
            ));
        }
        if let Some(listen) = self.listen {
            line(format_args!(
                "\n# The orchestrator, and operators, dial the agent.\n[listen]\naddress = {}\nnames = {}\n",
                quoted(&listen.address),
                list(&listen.names),
            ));
        }
        line(format_args!("\n[aws]\n"));
        if let Some(url) = self.endpoint_url {
            line(format_args!("endpoint_url = {}\n", quoted(url)));
        }
        line(format_args!(
            "# cloudformation_role = \"arn:aws:iam::…\"    # the role that CloudFormation acts with\n\
             # permissions_boundary = \"arn:aws:iam::…\"   # of the roles that a stack makes\n\
             # role_path = \"/towline/\"                     # of the roles that a stack makes\n\
             # tags = {{ team = \"shop\" }}                # on everything that is made\n"
        ));
        for region in self.regions {
            line(format_args!(
                "\n[[aws.regions]]\nname = {}\nclusters = {}\n",
                quoted(&region.name),
                list(&region.clusters),
            ));
            if let Some(bucket) = &region.template_bucket {
                line(format_args!(
                    "template_bucket = {}\ntemplate_prefix = {}\n",
                    quoted(&bucket.name),
                    quoted(&bucket.prefix)
                ));
            } else {
                line(format_args!(
                    "# template_bucket = \"…\"                    # a bucket of this region, for templates over 51,200 bytes\n"
                ));
            }
        }
        line(format_args!(
            "\n# Operators who call this agent directly may read. To let one deploy:\n\
             # [[operators]]\n# name = \"ann\"\n# allow = [\"read\", \"deploy\"]\n"
        ));
        line(format_args!(
            "\n# Which SSM parameters, and outputs of which stacks, releases may use here. Without this\n\
             # section all that the agent's role may read; never a SecureString.\n\
             # [values]\n# allow = [\"/shop/*\", \"stack:network\"]\n"
        ));
        text
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", quoted.join(", "))
}
