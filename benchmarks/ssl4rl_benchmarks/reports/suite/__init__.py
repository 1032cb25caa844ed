"""What is made of rows: tables in Markdown, and one page of HTML."""
