import Foundation

/// A process under measurement: started, read from line by line, looked at through `/proc`, ended.
final class Child {
    let pid: pid_t
    private let output: FileHandle
    private var buffered: [UInt8] = []

    /// - Parameter arguments: the program's path first.
    init(_ arguments: [String]) throws {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw BenchmarkError("no pipe can be made") }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addclose(&actions, ends[0])
        var pointers = arguments.map { strdup($0) } + [nil]
        var pid: pid_t = 0
        let status = posix_spawn(&pid, arguments[0], &actions, nil, &pointers, environ)
        pointers.forEach { free($0) }
        posix_spawn_file_actions_destroy(&actions)
        close(ends[1])
        self.output = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
        self.pid = pid
        guard status == 0 else {
            throw BenchmarkError("\(arguments[0]) cannot be run: \(String(cString: strerror(status)))")
        }
    }

    /// Lines of its output up to the first that begins with `prefix`, without the prefix.
    func line(_ prefix: String) throws -> String {
        while true {
            while let end = buffered.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: buffered[..<end], as: UTF8.self)
                buffered.removeSubrange(...end)
                if line.hasPrefix(prefix) { return String(line.dropFirst(prefix.count)) }
            }
            let more = output.availableData
            guard !more.isEmpty else { throw BenchmarkError("the process under measurement ended early") }
            buffered += more
        }
    }

    /// Processor seconds so far, in user and system mode, of all threads (`utime` and `stime`, proc(5)).
    func processorSeconds() throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        // The name in parentheses may hold anything; the fields after it are numbers. utime is field 14, stime 15.
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
            throw BenchmarkError("/proc/\(pid)/stat cannot be read")
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Bytes resident in memory.
    func residentBytes() throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        for line in text.split(separator: "\n") where line.hasPrefix("VmRSS:") {
            if let kibibytes = Double(line.split(whereSeparator: { $0 == " " || $0 == "\t" })[1]) {
                return kibibytes * 1024
            }
        }
        throw BenchmarkError("/proc/\(pid)/status cannot be read")
    }

    /// Ends the process at once and waits for it.
    func end() {
        kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
    }
}
