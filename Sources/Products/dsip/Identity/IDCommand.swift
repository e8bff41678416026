import ArgumentParser

/// `dsip id`: the person's own identities, on this device.
struct IDCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "id",
        abstract: "Your identities: make, show, back up, and use them on several devices.",
        subcommands: [
            IDShow.self, IDList.self, IDCreate.self, IDRename.self, IDUse.self, IDThrowaway.self, IDQR.self,
            IDRegister.self, IDRotate.self, IDMove.self, IDVisibility.self,
            IDPhrase.self, IDRestore.self, IDExport.self, IDImport.self, IDPair.self, IDAddDevice.self, IDDevices.self,
            IDRevoke.self,
        ],
        defaultSubcommand: IDShow.self
    )
}
