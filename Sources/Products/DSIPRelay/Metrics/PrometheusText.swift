/// Prometheus text exposition format 0.0.4.
struct PrometheusText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"
    private(set) var text = ""

    mutating func counter(_ name: String, _ help: String, _ counter: Counter) {
        head(name, help, "counter")
        text += "\(name) \(counter.value)\n"
    }

    mutating func gauge(_ name: String, _ help: String, _ value: Int) {
        head(name, help, "gauge")
        text += "\(name) \(value)\n"
    }

    mutating func counters(_ name: String, _ help: String, _ family: CounterFamily) {
        head(name, help, "counter")
        for (value, count) in family.all {
            text += "\(name){\(family.label)=\"\(PrometheusText.escape(value))\"} \(count)\n"
        }
    }

    mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
        head(name, help, "histogram")
        let (cumulative, sum) = histogram.snapshot
        for (bound, count) in zip(histogram.bounds, cumulative) { text += "\(name)_bucket{le=\"\(bound)\"} \(count)\n" }
        let total = cumulative.last ?? 0
        text += "\(name)_bucket{le=\"+Inf\"} \(total)\n\(name)_sum \(sum)\n\(name)_count \(total)\n"
    }

    private mutating func head(_ name: String, _ help: String, _ type: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    static func escape(_ value: String) -> String {
        var out = ""
        for character in value {
            switch character {
            case "\\": out += "\\\\"
            case "\"": out += "\\\""
            case "\n": out += "\\n"
            default: out.append(character)
            }
        }
        return out
    }
}
