package postgres

const childRole = "POSTGRES_TEST_CHILD"

var children = map[string]func(url string) error{}
