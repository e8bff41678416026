import DSIPIdentity
import DSIPSignaling

/// What a server does with verified traffic. Every call comes on the connection's event loop and must not block it.
public protocol SignalingServerDelegate: Sendable {
    /// Asked before any work is put into a frame; false answers it with `transport.rate-limited`.
    func admits(_ connection: SignalingConnection, bytes: Int) -> Bool

    /// A `hello` was verified and answered: from now on envelopes for the device go to this connection (DSIP §13.2).
    ///
    /// - Parameter previous: what was bound to the same connection before, whose place this takes.
    func bound(
        _ connection: SignalingConnection,
        _ hello: Verified<Message>,
        replacing previous: SignalingConnection.Device?
    )

    /// Anything but a `hello`, in the order it arrived; `message.envelope.bytes` is what to forward.
    func received(_ connection: SignalingConnection, _ message: Verified<Message>)

    /// A message of a profile, as `SignalingService.Configuration.profiles` reads it; in the order of arrival with the others.
    func received(_ connection: SignalingConnection, profile message: Verified<any Sendable>)

    /// An envelope was refused; the signed `error` has been taken care of.
    func rejected(_ connection: SignalingConnection, _ rejection: Rejection)

    /// The connection is gone.
    ///
    /// - Parameter device: what was bound to it, if anything.
    func closed(_ connection: SignalingConnection, _ device: SignalingConnection.Device?)
}

extension SignalingServerDelegate {
    public func admits(_ connection: SignalingConnection, bytes: Int) -> Bool { true }
    public func received(_ connection: SignalingConnection, profile message: Verified<any Sendable>) {}
    public func rejected(_ connection: SignalingConnection, _ rejection: Rejection) {}
}
