package auth

// AmbiguousMethod reports whether two servers could read different methods out
// of one request: methods are case-sensitive (RFC 9110 section 9.1), but Django,
// Werkzeug and others take `delete` for DELETE, so that a rule for DELETE would
// not see it.
func AmbiguousMethod(method string) bool {
	for i := range len(method) {
		if 'a' <= method[i] && method[i] <= 'z' {
			return true
		}
	}
	return false
}
