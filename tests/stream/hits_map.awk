# bytes per host of an access log, and how many lines were not understood
NF == 3 && $3 ~ /^[0-9]+$/ { print $1 "\t" $3; next }
{ print "reporter:counter:Log,Malformed,1" > "/dev/stderr" }
