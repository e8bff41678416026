import ArgumentParser
import DSIPAgent

/// Which Pkarr relays, and which nodes of the BitTorrent DHT, are asked, and told.
struct PkarrOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A Pkarr relay, or mainline:HOST:PORT for the BitTorrent DHT by one of its nodes: asked for the documents of did:dht and for where keys are reached, and told the same of you by an agent that holds your key; may be given several times.",
            valueName: "https://…"
        )
    )
    var pkarr: [String] = []

    func validate() throws {
        for place in pkarr where !PkarrPlaces.isPlace(place) {
            throw ValidationError(
                "“\(place)” is no Pkarr relay, which looks like https://pkarr.example, and no node like mainline:router.example:6881"
            )
        }
    }
}
