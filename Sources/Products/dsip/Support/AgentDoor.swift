import AsyncHTTPClient
import DSIPAgent
import DSIPIdentity
import DSIPTransport
import Encoding
import Foundation
import Logging
import NIOCore
import NIOHTTP1

/// The methods of docs/agent-api.md, wherever the agent is: in another process that is running, or in this one for the moment.
protocol AgentDoor: Sendable {
    /// - Throws: `AgentError`.
    func call(_ method: String, _ parameters: JSONValue) async throws -> JSONValue

    /// Hands a file over to be sent (`POST /api/v1/uploads`).
    /// - Returns: its id.
    func upload(_ bytes: [UInt8], contentType: String) async throws -> String

    /// A file somebody sent (`GET /api/v1/attachments/…`).
    func attachment(conversation: String, message: String) async throws -> [UInt8]
}

/// An agent that `dsip up` has started on the same state folder.
struct RunningAgentDoor: AgentDoor {
    let announcement: StateHolder.Announcement

    func call(_ method: String, _ parameters: JSONValue) async throws -> JSONValue {
        var request = HTTPClientRequest(url: "\(announcement.base)/api/v1/\(method)")
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.body = .bytes(parameters.utf8)
        return try json(await execute(request).body)
    }

    func upload(_ bytes: [UInt8], contentType: String) async throws -> String {
        var request = HTTPClientRequest(url: "\(announcement.base)/api/v1/uploads")
        request.method = .POST
        request.headers.add(name: "Content-Type", value: contentType)
        request.body = .bytes(bytes)
        return try json(await execute(request).body)["upload"]?.string ?? ""
    }

    func attachment(conversation: String, message: String) async throws -> [UInt8] {
        let url = "\(announcement.base)/api/v1/attachments/\(conversation)/\(message)"
        let (status, body) = try await execute(HTTPClientRequest(url: url), limit: 128 << 20)
        guard status == 200 else {
            _ = try json(body)
            throw AgentError(.internal, "The file could not be read.")
        }
        return Array(body.readableBytesView)
    }

    private func execute(_ request: HTTPClientRequest, limit: Int = 8 << 20) async throws -> (
        status: UInt, body: ByteBuffer
    ) {
        var request = request
        request.headers.add(name: "Authorization", value: "Bearer \(announcement.token)")
        do {
            let response = try await HTTPClient.shared.execute(request, timeout: .seconds(limit > 8 << 20 ? 900 : 60))
            return (response.status.code, try await response.body.collect(upTo: limit))
        } catch {
            throw AgentError(
                .unreachable,
                "The agent at \(announcement.base) does not answer (process \(announcement.process))."
            )
        }
    }

    /// - Throws: the error of the agent that `body` is.
    private func json(_ body: ByteBuffer) throws -> JSONValue {
        guard
            let json = try? JSONValue(
                parsing: Array(body.readableBytesView),
                limits: .init(bytes: 8 << 20, depth: 16, members: 200_000)
            )
        else { throw AgentError(.internal, "The agent at \(announcement.base) answered with what is no JSON.") }
        if let error = json["error"], let message = error["message"]?.string {
            throw AgentError(error["code"]?.string.flatMap(AgentError.Code.init(rawValue:)) ?? .internal, message)
        }
        return json
    }
}

/// An agent inside this process.
struct OwnAgentDoor: AgentDoor {
    let agent: Agent

    func call(_ method: String, _ parameters: JSONValue) async throws -> JSONValue {
        try await agent.perform(method, parameters)
    }

    func upload(_ bytes: [UInt8], contentType: String) async throws -> String {
        try await agent.upload(bytes, contentType: contentType)
    }

    func attachment(conversation: String, message: String) async throws -> [UInt8] {
        try await agent.attachment(conversation: conversation, message: message).bytes
    }
}

extension AgentDoor {
    func call(_ method: String) async throws -> JSONValue { try await call(method, [:]) }

    /// Waits until the relay of the current identity is connected.
    ///
    /// - Returns: nil when it is, else the sentence that says why not.
    func waitForRelay(seconds: Int) async throws -> String? {
        var why = "there is no identity yet"
        for _ in 0..<(seconds * 10) {
            let relay = try await call("state.get")["relay"]
            switch relay?["state"]?.string {
            case "connected": return nil
            case "refused": return relay?["sentence"]?.string
            default: why = relay?["sentence"]?.string ?? why
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        return why
    }
}

extension StateOptions {
    enum Reach { case files, relay }

    /// Opens the person's agent for `body`: the running one, or one of our own on the files.
    ///
    /// - Parameters:
    ///   - reach: whether an agent of our own connects to the relay.
    ///   - creating: makes the wallet when there is none; otherwise that is an error.
    ///   - passphrase: asks for a passphrase to lock a new wallet with, instead of a key file.
    func withAgent<R>(
        _ reach: Reach = .files,
        creating: Bool = false,
        passphrase: Bool = false,
        deviceName: String? = nil,
        _ body: (any AgentDoor) async throws -> R
    ) async throws -> R {
        guard creating || FileManager.default.fileExists(atPath: walletPath) else {
            throw CommandFailure(
                .notFound,
                "There is no wallet in \(folder). Make one with dsip id create NAME, or name another folder with --state."
            )
        }
        switch try await StateHolder.takePatiently(folder) {
        case .agent(let announcement):
            return try await body(RunningAgentDoor(announcement: announcement))
        case .other:
            throw CommandFailure(
                .failed,
                "Another program is using \(folder). Wait for it to end, or stop it, and try again."
            )
        case .mine(let holder):
            let agent = try Agent(
                configuration(reach, passphrase: passphrase, deviceName: deviceName),
                log: Logger.silent
            )
            do {
                try await agent.start()
                let result = try await body(OwnAgentDoor(agent: agent))
                await agent.stop()
                withExtendedLifetime(holder) {}
                return result
            } catch {
                await agent.stop()
                withExtendedLifetime(holder) {}
                throw error
            }
        }
    }

    private func configuration(_ reach: Reach, passphrase: Bool, deviceName: String?) throws -> AgentConfiguration {
        let relay = try network.wantedRelay()
        var configuration = AgentConfiguration(
            stateFolder: folder,
            relay: relay ?? NetworkOptions.standardRelay,
            trustRoots: network.roots.additionalFiles,
            deviceName: deviceName ?? Host.name,
            allowedAddresses: try network.allowed(with: relay ?? NetworkOptions.standardRelay),
            createsIdentity: false
        )
        configuration.mode = reach == .relay ? .errand : .offline
        configuration.passphrase = try walletPassphrase(isNew: passphrase)
        return configuration
    }

    /// The passphrase that the wallet asks for; nil when a key file opens it.
    func walletPassphrase(isNew: Bool = false) throws -> String? {
        do throws(IdentityError) {
            let wants = try WalletFile.wantsPassphrase(walletPath)
            guard wants ?? isNew else { return nil }
        } catch {
            throw CommandFailure(error, "The wallet could not be opened")
        }
        return try SecretInput.passphrase(
            FileManager.default.fileExists(atPath: walletPath)
                ? "Passphrase of the wallet:" : "A passphrase for the new wallet:",
            variable: SecretInput.walletVariable,
            isNew: !FileManager.default.fileExists(atPath: walletPath)
        )
    }
}

enum Host {
    /// What this device is called when nobody says otherwise.
    static var name: String {
        let name = ProcessInfo.processInfo.hostName.prefix { $0 != "." }
        return name.isEmpty ? "This computer" : String(name)
    }
}

extension Logger {
    /// A command speaks through its results.
    static var silent: Logger { Logger(label: "dsip") { _ in SwiftLogNoOpLogHandler() } }
}
