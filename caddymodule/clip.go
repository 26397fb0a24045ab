package caddymodule

// clip shortens what a client sent for a log line.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
