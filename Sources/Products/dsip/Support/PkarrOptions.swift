import ArgumentParser

/// Which Pkarr relays are asked, and told.
struct PkarrOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A Pkarr relay: asked for the documents of did:dht and for where keys are reached, and told the same of you by an agent that holds your key; may be given several times.",
            valueName: "https://…"
        )
    )
    var pkarr: [String] = []

    func validate() throws {
        for url in pkarr where !url.hasPrefix("https://") || url.hasSuffix("/") {
            throw ValidationError("“\(url)” is no Pkarr relay; one looks like https://pkarr.example")
        }
    }
}
