import DSIPAgent
import DSIPIdentity
import DSIPTransport

/// What `dsip` ends with. Success is 0.
enum ExitStatus: Int32 {
    /// A check or verification failed, or the request was refused.
    case failed = 1
    /// What was named does not exist, or cannot be reached.
    case notFound = 3
    /// A wrong passphrase, or a damaged file.
    case locked = 4
    /// The command line cannot be understood (`EX_USAGE`).
    case usage = 64

    /// For `dsip --help`.
    static let explanation = """
        Exit status: 0 done; 1 a check failed or the request was refused; 3 not found or not reachable; 4 wrong passphrase or damaged \
        file; 64 the command line is wrong.
        """
}

/// Why a command ends without success: one sentence that says what to do next, for standard error.
struct CommandFailure: Error {
    let status: ExitStatus
    let sentence: String

    init(_ status: ExitStatus, _ sentence: String) {
        self.status = status
        self.sentence = sentence
    }

    init(_ error: AgentError) {
        let status: ExitStatus =
            switch error.code {
            case .badRequest, .tooLarge: .usage
            case .notFound, .unresolvable, .unreachable: .notFound
            case .wrongPassphrase, .damaged: .locked
            case .unauthorized, .notAllowed, .rateLimited, .busy, .media, .internal: .failed
            }
        self.init(status, error.message)
    }

    init(_ error: IdentityError, _ what: String) {
        let status: ExitStatus =
            switch error.code {
            case .malformed, .tooLarge, .unsupported: .usage
            case .notFound, .unreachable: .notFound
            case .wrongPassphrase, .damaged: .locked
            case .signing, .refused, .storage: .failed
            }
        self.init(status, "\(what): \(error.reason).")
    }
}
