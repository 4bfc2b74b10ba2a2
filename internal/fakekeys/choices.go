package fakekeys

// Choices turn fuzzed bytes into decisions; when they run out, every choice is the first.
type Choices []byte

// Pick returns a number under n.
func (c *Choices) Pick(n int) int {
	if len(*c) == 0 {
		return 0
	}
	b := (*c)[0]
	*c = (*c)[1:]
	return int(b) % n
}

// Rarely reports true once in n.
func (c *Choices) Rarely(n int) bool { return c.Pick(n) == n-1 }

// Of returns one of the list.
func (c *Choices) Of(list ...string) string { return list[c.Pick(len(list))] }
