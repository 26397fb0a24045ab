package leak

import (
	"regexp"
	"strings"
)

// pathLeaks are file paths. A path of a URL looks the same, so roots that only
// file systems have count by themselves, and others with a telling extension.
var pathLeaks = []leakRule{
	phrases("site-packages", "dist-packages", "node_modules", "file:///", "/proc/self", "public_html", "htdocs", "wwwroot", "appdata\\", "inetpub", "/web-inf/", "webpack:"),
	{
		hints:   []string{"/usr/", "/var/", "/etc/", "/home/", "/root/", "/opt/", "/srv/", "/tmp/", "/mnt/", "/proc/", "/sys/", "/nix/", "/private/var/", "/users/", "/applications/", "/library/"},
		pattern: regexp.MustCompile(`(?:^|[^\w.~%/-])(/(?:usr|var|etc|home|root|opt|srv|tmp|mnt|proc|sys|nix/store|private/var|Users|Applications|Library)/[\w.@+-]+[^\s"'<>,;)]*)`),
		check:   notOfURL,
	},
	{
		hints:   []string{"."},
		pattern: regexp.MustCompile(`(?:^|[^\w.~%/-])((?:\.{0,2}/)(?:[\w.@+-]+/){1,20}[\w.@+-]+\.(?:py|pyc|rb|erb|php|phtml|java|class|jar|war|jsx?|mjs|cjs|tsx?|go|cs|cshtml|dll|so|exe|sh|bash|conf|cfg|cnf|ini|toml|ya?ml|env|pem|key|crt|p12|pfx|jks|sqlite3?|db|mdb|log|sql|bak|lock|properties|tmpl|twig|blade\.php|haml|slim|ejs|hbs|rs|exs?|pl|pm|lua|cpp|h|asp|aspx|cfm))\b`),
		check:   notOfURL,
	},
	{
		hints:   []string{"/"},
		pattern: regexp.MustCompile(`(?:^|[^\w.~%/:-])((?:[\w.@+-]+/){2,}[\w.@+-]+\.(?:py|rb|erb|php|phtml|java|jsx|mjs|cjs|tsx?|go|cs|cshtml|rs|exs?|pl|pm|lua|cpp|blade\.php|twig|yml|env|pem|key|sqlite3?|sql))\b`),
		check:   notOfURL,
	},
	{
		// Where containers have the application.
		hints:   []string{"/app/", "/workspace/", "/usr/src/", "/code/"},
		pattern: regexp.MustCompile(`(?:^|[^\w.~%/-])(/(?:app|workspace|code)/(?:templates|src|config|storage|vendor|lib|models|views|logs|build|dist|bin|tmp|data|releases)/[\w.@+-]+)`),
		check:   notOfURL,
	},
	pattern(`\b[A-Za-z]:\\(?:[^\\/:*?"<>|\r\n]{1,80}\\)+`, `:\`),
	pattern(`(?:^|[\s"'(])\\\\[\w.-]{2,}\\[\w.$ -]+`, `\\`),
	pattern(`\b[A-Za-z]:/(?:Users|Program Files|inetpub|Windows|xampp|wamp|www|src|projects?)/`, ":/"),
}

// routeWords stand before the path of a URL in messages for people.
var routeWords = regexp.MustCompile(`(?i)(?:\b(?:get|head|post|put|patch|delete|options|trace|connect|any)\]?|\burl|\buri|\broute|\bendpoint|\bresource|\bpage|\blink|\blocation|\bpath info)\s*:?\s*["'` + "`" + `(\[]{0,2}$`)

// notOfURL reports whether what matched is no URL's path: not named as one
// before, and not part of a http URL.
func notOfURL(text string, m []int) bool {
	start := m[2]
	before := text[max(0, start-32):start]
	if routeWords.MatchString(before) {
		return false
	}
	word := text[:start]
	if i := strings.LastIndexAny(word, " \t\n\"'<(,"); i >= 0 {
		word = word[i+1:]
	}
	return !strings.HasPrefix(word, "http://") && !strings.HasPrefix(word, "https://")
}
