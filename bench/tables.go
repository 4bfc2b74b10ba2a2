package main

import "github.com/jwksharvest/harvest/bench/internal/compare"

// tables are in the order of the report.
func tables() []*compare.Table {
	return []*compare.Table{
		conversion(),
		hostile(),
		command(),
		pipeline(),
		steady(),
		scale(),
		mounts(),
		logins(),
	}
}

const headline = `# Measured

Written by ` + "`make bench`" + `, which anyone can run again; nothing here is typed by hand. Each contender has
its turn in each round, and each round gives one ratio to the first contender: shown are the
median of the ratios and their range. Run again, it names the ratios that lie outside the range of
the run before.
`
