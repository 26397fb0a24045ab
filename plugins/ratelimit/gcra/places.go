package gcra

// places holds values that entries refer to by their place, and uses places that are free
// again.
type places[T any] struct {
	all   []T
	spare []int
}

// put keeps a value and returns its place.
func (p *places[T]) put(value T) int {
	n := len(p.spare)
	if n == 0 {
		p.all = append(p.all, value)
		return len(p.all) - 1
	}
	place := p.spare[n-1]
	p.spare = p.spare[:n-1]
	p.all[place] = value
	return place
}

// at is the value at a place, until the next put.
func (p *places[T]) at(place int) *T { return &p.all[place] }

// free forgets the value at a place.
func (p *places[T]) free(place int) {
	var none T
	p.all[place] = none
	p.spare = append(p.spare, place)
}

// trim gives memory back where no value is left.
func (p *places[T]) trim() {
	if len(p.all) == len(p.spare) {
		p.all, p.spare = nil, nil
	}
}
