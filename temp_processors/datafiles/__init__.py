"""Rows of text files, JSON, CSV, TSV, Parquet and datasets, one at a time, with errors that name the file and the line.

What a file holds is told by its suffix, whatever its case, and read strictly: a quote that is never closed, a row with a field too many or
a number of 5,000 digits is an error at its line, never other rows than those that stand there.
"""

from temp_processors.datafiles.errors import RowsError as RowsError
from temp_processors.datafiles.errors import expanded as expanded
from temp_processors.datafiles.errors import expanded_path as expanded_path
from temp_processors.datafiles.errors import is_there as is_there
from temp_processors.datafiles.formats import DataFile as DataFile
from temp_processors.datafiles.formats import is_file_name as is_file_name
from temp_processors.datafiles.position import Position as Position
from temp_processors.datafiles.rows import column_of as column_of
from temp_processors.datafiles.rows import read_dataset as read_dataset
from temp_processors.datafiles.rows import read_rows as read_rows
from temp_processors.datafiles.rows import text_of as text_of
