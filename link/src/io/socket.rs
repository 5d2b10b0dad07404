use std::time::Duration;

use rustix::net::sockopt;

use crate::seams::Stream;

/// Small messages go out at once, and the kernel, too, finds a peer that is
/// gone: after 30 s of silence it asks three times, 10 s apart. That is the net
/// below the link's own checks, and the only one for callers of an API.
pub(crate) fn tune(stream: &Stream) -> std::io::Result<()> {
    let Stream::Tcp(stream) = stream else {
        return Ok(());
    };
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(30))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(10))?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    Ok(())
}
