// What a program may ask about the terminal it writes to.
#pragma once

namespace runink::os {

bool is_terminal(int descriptor);
int terminal_width(int descriptor, int otherwise = 80);  // columns; $COLUMNS wins if it is a number
bool is_dumb_terminal();                                 // TERM says that it knows no control sequences
bool colour_wanted(int descriptor);                      // a terminal, NO_COLOR unset or empty, TERM not "dumb"

}  // namespace runink::os
