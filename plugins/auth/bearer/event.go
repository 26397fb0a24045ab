package bearer

// An EventKind says what happened to the keys of an issuer.
type EventKind string

// The kinds of Event.
const (
	// EventKeysLoaded: the source gave other keys than before.
	EventKeysLoaded EventKind = "keys_loaded"
	// EventKeysRestored: keys of an earlier run were read from storage.
	EventKeysRestored EventKind = "keys_restored"
	// EventKeysFailed: the source could not be read; the last good keys stay.
	EventKeysFailed EventKind = "keys_failed"
	// EventKeySkipped: one key of a set can't be used.
	EventKeySkipped EventKind = "key_skipped"
	// EventKeyDuplicate: several keys of a set have the same kid; all are tried.
	EventKeyDuplicate EventKind = "key_duplicate"
	// EventStorageFailed: the last good keys could not be stored or read back.
	EventStorageFailed EventKind = "storage_failed"
)

// Event is something that an operator may want in the log. It holds no secrets
// and no part of a token.
type Event struct {
	Kind   EventKind
	Issuer string
	// KeyID is the kid concerned, where there is one.
	KeyID string
	// Keys and Skipped count the set's usable and unusable keys.
	Keys    int
	Skipped int
	// Err is what went wrong.
	Err error
}
