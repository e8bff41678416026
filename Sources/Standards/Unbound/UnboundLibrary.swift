import CUnbound

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The functions of libunbound that are used, found when the program runs.
/// C functions, which hold nothing; unchecked, since the compiler does not tell such from closures.
struct UnboundLibrary: @unchecked Sendable {
    let create: ub_ctx_create_t
    let delete: ub_ctx_delete_t
    let setOption: ub_ctx_set_option_t
    let setForwarder: ub_ctx_set_fwd_t
    let addAnchor: ub_ctx_add_ta_t
    let setDebugOutput: ub_ctx_debugout_t
    let runAsynchronously: ub_ctx_async_t
    let descriptor: ub_fd_t
    let process: ub_process_t
    let resolve: ub_resolve_async_t
    let cancel: ub_cancel_t
    let free: ub_resolve_free_t

    /// Nil where the library is not installed (Debian: `libunbound8`). Loaded once, and never unloaded.
    static let shared = UnboundLibrary()

    private init?() {
        guard let handle = dlopen("libunbound.so.8", RTLD_NOW | RTLD_LOCAL) else { return nil }
        func find<Function>(_ name: String, as type: Function.Type) -> Function? {
            dlsym(handle, name).map { unsafeBitCast($0, to: type) }
        }
        guard let create = find("ub_ctx_create", as: ub_ctx_create_t.self),
            let delete = find("ub_ctx_delete", as: ub_ctx_delete_t.self),
            let setOption = find("ub_ctx_set_option", as: ub_ctx_set_option_t.self),
            let setForwarder = find("ub_ctx_set_fwd", as: ub_ctx_set_fwd_t.self),
            let addAnchor = find("ub_ctx_add_ta", as: ub_ctx_add_ta_t.self),
            let setDebugOutput = find("ub_ctx_debugout", as: ub_ctx_debugout_t.self),
            let runAsynchronously = find("ub_ctx_async", as: ub_ctx_async_t.self),
            let descriptor = find("ub_fd", as: ub_fd_t.self), let process = find("ub_process", as: ub_process_t.self),
            let resolve = find("ub_resolve_async", as: ub_resolve_async_t.self),
            let cancel = find("ub_cancel", as: ub_cancel_t.self),
            let free = find("ub_resolve_free", as: ub_resolve_free_t.self)
        else { return nil }
        self.create = create
        self.delete = delete
        self.setOption = setOption
        self.setForwarder = setForwarder
        self.addAnchor = addAnchor
        self.setDebugOutput = setDebugOutput
        self.runAsynchronously = runAsynchronously
        self.descriptor = descriptor
        self.process = process
        self.resolve = resolve
        self.cancel = cancel
        self.free = free
    }
}
