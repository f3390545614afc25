# largest and sum per host; the lines of one host come one after the other
BEGIN { FS = OFS = "\t" }
$1 != host { if (NR > 1) print host, max, sum; host = $1; max = sum = 0 }
{ sum += $2; if ($2 + 0 > max) max = $2 + 0 }
END { if (NR) print host, max, sum }
