/// Takes what happens on a stream as it happens, on the event loop of its connection, where a `PeerStream` is read by a task.
protocol StreamObserver: AnyObject {
    /// The window for the bytes is given back by `ConnectionDriver.consumed`.
    func received(_ bytes: [UInt8])
    /// The peer sends no more.
    func ended()
    /// Room again after `ConnectionDriver.send` said there was none.
    func writable()
    /// The stream's time is over; one that has nothing else to do about it resets the stream.
    func expired()
    /// The stream is gone.
    func failed(_ error: Libp2pError)
}
