import ArgumentParser

/// `dsip completion`: the script that teaches a shell this command.
struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion",
        abstract: "Print the completion script of a shell.",
        discussion: """
            bash: dsip completion bash > ~/.local/share/bash-completion/completions/dsip
            zsh:  dsip completion zsh > a folder of $fpath, as _dsip
            fish: dsip completion fish > ~/.config/fish/completions/dsip.fish
            """
    )

    enum Shell: String, ExpressibleByArgument, CaseIterable { case bash, zsh, fish }

    @Argument(help: "Which shell.") var shell: Shell

    func run() {
        let kind: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        print(DSIPCommand.completionScript(for: kind))
    }
}
