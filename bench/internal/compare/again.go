package compare

import (
	"fmt"
	"io"
	"math"
)

// compareAgain tells how far a new run shows the ratios of the one before it: how many of its
// medians lie within the range of the earlier ones, and which don't.
func compareAgain(before, now *record, log io.Writer) {
	within, all := 0, 0
	for _, name := range now.table.Cases {
		for _, c := range now.table.Contenders[1:] {
			was, is := before.ratio(name, c.Name), now.ratio(name, c.Name)
			if math.IsNaN(was.median) || math.IsNaN(is.median) {
				continue
			}
			all++
			if was.low <= is.median && is.median <= was.high {
				within++
				continue
			}
			fmt.Fprintf(log, "%s: %s, %s: %s, and %s in the run before\n", now.table.Name, name, c.Name, is, was)
		}
	}
	if all > 0 {
		fmt.Fprintf(log, "%s: %d of %d ratios lie within the range of the run before\n", now.table.Name, within, all)
	}
}
