package leak

// sourceFile matches the name of a source file with a line number.
const sourceFile = `[\w/\\.@$+-]*\w\.(?:py|pyx|rb|erb|rake|js|jsx|mjs|cjs|ts|tsx|vue|java|kt|kts|scala|groovy|clj|go|php|phtml|cs|vb|fs|cpp|cc|cxx|hpp|rs|exs?|erl|pl|pm|lua|swift|dart|cfm|sql)`

// stackLeaks are frames of a stack and the runtimes' own words for a crash.
var stackLeaks = []leakRule{
	phrases(
		// Python
		"traceback (most recent call last", "during handling of the above exception", "the above exception was the direct cause",
		"object has no attribute", "object is not subscriptable", "object is not callable", "object is not iterable", "'nonetype'",
		"got an unexpected keyword argument", "positional arguments but", "positional argument:", "list index out of range",
		"unsupported operand type(s)", "maximum recursion depth exceeded", "is not json serializable", "no module named '", "cannot import name '",
		"referenced before assignment", "was never awaited", "attached to a different loop",
		// Java
		"nested exception is", "nullpointerexception", "stackoverflowerror", "outofmemoryerror", "classcastexception",
		"classnotfoundexception", "java heap space", "gc overhead limit", "no enum constant", "exception in thread",
		"because the return value of \"", "because \"this.", "arrayindexoutofbounds", "indexoutofboundsexception",
		// JavaScript
		"cannot read propert", "cannot set propert", "is not a function", "undefined is not an", "cannot access '", "is not iterable",
		"cannot destructure property", "unhandledpromiserejection", "maximum call stack size", "processticksandrejections", "cannot find module '", "converting circular structure",
		// Go
		"nil pointer dereference", "invalid memory address", "goroutine ", "panic serving", "runtime error: ", "index out of range [",
		"interface conversion: ", "assignment to entry in nil map", "panic: ", "json: unsupported type",
		// PHP
		"fatal error: ", "stack trace:", "uncaught exception", "uncaught error", "call to undefined ", "call to a member function",
		"undefined variable", "undefined index", "undefined array key", "undefined property:", "undefined offset",
		"trying to get property", "trying to access array offset", "): argument #", "allowed memory size of", "maximum execution time of",
		"array to string conversion", "failed to open stream", "unexpected t_", "eval()'d code", "attempt to read property", "target class [",
		// .NET
		"object reference not set", "end of inner exception stack trace", "end of stack trace from previous", "unhandled exception",
		"value cannot be null. (parameter", "sequence contains no", "could not load file or assembly", "server error in '/",
		"[nullreferenceexception", "specified cast is not valid", "unable to resolve service for type",
		// Ruby
		"undefined method", "undefined local variable", "uninitialized constant", "nomethoderror", "wrong number of arguments (",
		"full trace", "framework trace", "stack level too deep", "no implicit conversion of",
		// others
		"segmentation fault", "core dumped", "panicked at", "rust_backtrace", "stacktrace", "stack backtrace", "assertion failed:",
		"(elixir ", "function_clause", "badmatch", "** (", "unwrap()` on", "called `result::", "called `option::",
		"(most recent call first)", "frame-filename", "no such file or directory", "file not found: /", "permission denied: '/",
	),
	pattern(`(?i)\bfile "[^"\n]+", line \d+`, `file "`),
	pattern(`(?i)\bfile '[^'\n]+',? line \d+`, `file '`),
	// at pkg.Class.method(Class.java:12), at f (/srv/x.js:1:2), at Ns.Class.M(String s) in C:\x.cs:line 9
	pattern(`(?m)\bat\s+[\w$.<>/\[\] ]+\((?:[\w$ -]+\.(?:java|kt|scala|groovy|clj):\d+|Native Method|Unknown Source|<anonymous>|[^()\n]*:\d+:\d+)\)`, "at "),
	pattern(`\bat\s+(?:async\s+)?(?:/|file:|node:|webpack|[A-Za-z]:\\)[^\s()]+:\d+:\d+`, "at "),
	pattern("(?m)\\bat\\s+[\\w.`<>\\[\\],+]+\\([^()\\n]{0,300}\\)(?:\\s+in\\s+\\S.*:line\\s+\\d+|\\s*$|\\s+at\\s)", "at "),
	pattern(`(?i)`+sourceFile+`(?::|", line |\(| on line |: line |#L|:line )\d+`,
		".py", ".rb", ".js", ".ts", ".mjs", ".cjs", ".java", ".kt", ".scala", ".groovy", ".clj", ".go", ".php", ".cs", ".vb", ".fs",
		".cpp", ".cc", ".cxx", ".hpp", ".rs", ".ex", ".erl", ".pl", ".pm", ".lua", ".swift", ".dart", ".cfm", ".sql", ".erb", ".rake",
		".jsx", ".tsx", ".vue", ".phtml", ".pyx"),
	pattern(`(?i)\bin\s+(?:<b>)?[/\\\w.:-]+\.(?:php|phtml|inc|pl|cfm)(?:</b>)?\b`, "in "),
	pattern(`(?i)\.(?:php|phtml|inc|pl|pm)\S{0,10} (?:on )?line (?:<b>)?\d+`, " line "),
	pattern(`(?m)(?:^|\s)#\d{1,3}\s+(?:/|[A-Za-z]:\\|\{main\}|\[internal function\])`, "#"),
	pattern(`\bname '\w+' is not defined`, "is not defined"),
	pattern(`\b\w+\.(?:exceptions?|errors?)\.[A-Z]\w+`, ".exception", ".error"),
	pattern(`(?m)^\s*\.\.\. \d+ (?:more|common frames omitted)`, "... "),
	pattern(`\bCaused by: [\w$.]+`, "caused by: "),
	// Names of exceptions: qualified anywhere, the well-known ones bare.
	pattern(`\b[A-Za-z_$][\w$]*(?:(?:\.|::|\\)[A-Za-z_$][\w$]*)*(?:\.|::|\\)[A-Z][\w$]*(?:Error|Exception|Violation|Fault|Failure|Warning|Timeout|Refused)\b`,
		"error", "exception", "violation", "fault", "failure", "warning", "timeout", "refused"),
	pattern(`\b(?:KeyError|TypeError|ValueError|NameError|AttributeError|IndexError|ReferenceError|RangeError|SyntaxError|URIError|EvalError|ImportError|ModuleNotFoundError|RuntimeError|ZeroDivisionError|AssertionError|RecursionError|UnicodeDecodeError|UnboundLocalError|FileNotFoundError|OSError|IOError|KeyNotFoundException|NullReferenceException|IllegalArgumentException|IllegalStateException|ArgumentException|ArgumentNullException|InvalidOperationException|ArgumentError|RuntimeException|ClassCastException|NumberFormatException|DivideByZeroException|FormatException|UnsupportedOperationException|ConcurrentModificationException|NoMethodError|InvalidCastException|GraphQLError|AxiosError|FetchError|PrismaClient\w*Error|Sequelize\w*Error|Mongo\w*Error|ErrorException|DivisionByZeroError|JsonException|NotImplementedException|TimeoutException)\b`,
		"error", "exception"),
}
