package leak

// typeLeaks are names of classes and objects: what ORMs, serializers and
// containers call the code inside.
var typeLeaks = []leakRule{
	// Java and Kotlin: com.acme.shop.dto.UserDto
	pattern(`\b(?:com|org|net|io|java|javax|jakarta|sun|kotlin|kotlinx|scala|akka|dev|edu|gov|de|fr|uk|ch|nl)\.[a-z_]\w*(?:\.[a-z_]\w*)*\.[A-Z]\w+`, "com.", "org.", "net.", "io.", "java.", "javax.", "jakarta.", "sun.", "kotlin", "scala.", "akka.", "dev.", "edu.", "gov.", "de.", "fr.", "uk.", "ch.", "nl."),
	pattern(`\b(?:java|javax|jakarta)\.\w+\.\w+`, "java.", "javax.", "jakarta."),
	pattern(`\b(?:org\.(?:springframework|hibernate|apache|postgresql|mongodb|elasticsearch|eclipse|jboss|glassfish)|com\.(?:fasterxml|mysql|zaxxer|amazonaws|google\.common|microsoft|mongodb|datastax))\.`, "org.", "com."),
	// .NET: System.Data.SqlClient, 'Shop.Billing.Internal.CreateAccountRequest'
	pattern(`\b(?:System|Microsoft|Newtonsoft|Npgsql|MySql|Oracle|Dapper|AutoMapper|MediatR)\.[A-Z]\w+(?:\.[A-Z]\w+)+`, "system.", "microsoft.", "newtonsoft.", "npgsql.", "mysql.", "oracle.", "dapper.", "automapper.", "mediatr."),
	pattern(`(?i)\b(?:type|class|entity|model|service|assembly|member|bean) ['"\[<](?-i:[A-Z]\w+(?:\.[A-Z]\w+)+)`, "type ", "class ", "entity ", "model ", "service ", "assembly ", "member ", "bean "),
	pattern("['\"](?:[A-Z]\\w{2,}\\.){2,}[A-Z]\\w{2,}(?:`\\d)?(?:, Version=)?", "'", `"`),
	pattern("`\\d\\[\\[?[A-Z]", "`"),
	// PHP: App\Models\User
	pattern(`\b[A-Z]\w+\\{1,2}[A-Z]\w+(?:\\{1,2}\w+)*`, `\`),
	// Ruby, C++, Rust: ActionController::RoutingError
	pattern(`\b[A-Z]\w+::[A-Z]\w+`, "::"),
	pattern(`\b(?:std|tokio|hyper|serde|sqlx|diesel|actix\w*|boost)::\w+`, "::"),
	pattern(`#<[A-Z]\w+`, "#<"),
	// Python: <class 'app.models.User'>, <User object at 0x7f...>, builtins.KeyError
	pattern(`<class '|<function |<module '|<bound method |\bobject at 0x[0-9a-fA-F]+|\b0x[0-9a-fA-F]{8,16}\b`, "<class", "<function", "<module", "<bound", "0x"),
	// Java's default toString and lambdas: com.acme.User@1b6d3586, User$$EnhancerBySpring
	pattern(`\b[A-Z]\w+@[0-9a-f]{6,8}\b|\$\$(?:Enhancer|Lambda|Proxy|HibernateProxy)`, "@", "$$"),
	// Feign: [StorageService#decrease(Long,Integer)]
	pattern(`\b[A-Z]\w+#\w+\([\w, .<>\[\]]*\)`, "#"),
	// Go: a printed struct, a failed verb
	pattern(`\*?\b\w+\.[A-Z]\w+\{|\breflect\.|%!\w\(`, "{", "reflect.", "%!"),
	pattern(`(?:^|[\s("'\[])\*[a-z]\w*\.[A-Z]\w+`, "*"),
	pattern(`\(\*[A-Z]\w*\)\.\w+`, "(*"),
	phrases("unknown entity", "no query results for model", "lazily initialize", "could not initialize proxy", "no serializer found", "infinite recursion", "no qualifying bean", "error creating bean", "detached entity", "doctrine\\", "dynamicproxies", "actioncontroller", "actionview", "activemodel::", "whitelabel error page", "xdebug", "werkzeug debugger", "starlette debugger", "django_settings_module", "urlconf"),
}
